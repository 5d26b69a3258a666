/** What the page shows: a projection of the server's state, and where the user is in it. */
import { t } from '../texts';
import { Refused, api } from './api';
import { follow, unsaved } from './drafts.svelte';
import { badness, matches, score, type Filter } from './filters';
import { moves } from './scene';
import type { Frame, Job, Listed, Live, Options, State, Story } from './types';

export type View = 'board' | 'cast';
export type Side = 'none' | 'frame' | 'queue';
export type Window = 'none' | 'help' | 'compare' | 'new' | 'settings' | 'large';

export interface Note {
  id: number;
  text: string;
  bad: boolean;
  action?: { name: string; do: () => void };
}

const PAUSE = 2_000; // ms before a closed stream of events is opened again

const remembered = (key: string): string[] => {
  try {
    return JSON.parse(localStorage.getItem(key) ?? '[]') as string[];
  } catch {
    return [];
  }
};

class Studio {
  options = $state.raw<Options | null>(null);
  stories = $state.raw<Listed[]>([]);
  open = $state.raw<string[]>(remembered('open'));
  story = $state.raw<Story | null>(null);
  jobs = $state.raw<Job[]>([]);
  live = $state.raw<Live | null>(null);
  online = $state(true);
  login = $state(false);
  notes = $state.raw<Note[]>([]);
  said = $state('');

  view = $state<View>('board');
  side = $state<Side>('none');
  writing = $state(false);
  window = $state<Window>('none');
  filter = $state<Filter>('all');
  query = $state('');
  cursor = $state(0);
  /** Where a range of chosen frames begins. */
  anchor = 0;
  chosen = $state.raw<ReadonlySet<number>>(new Set());
  compared = $state.raw<string[]>([]);

  /** The frames that the board shows: those found, in the story's order or the worst first. */
  shown = $derived.by<Frame[]>(() => {
    const words = this.query.trim().toLowerCase();
    const found = (this.story?.frames ?? []).filter(
      (f) =>
        matches(f, this.filter) &&
        (!words || `${f.index + 1} ${f.text} ${f.caption} ${f.cast.join(' ')}`.toLowerCase().includes(words)),
    );
    return this.filter === 'worst' ? found.sort((a, b) => badness(b) - badness(a) || score(a) - score(b)) : found;
  });

  frame = $derived<Frame | null>(this.story?.frames[this.cursor] ?? null);
  ordered = $derived(this.filter === 'all' && !this.query.trim());
  running = $derived(this.jobs.find((j) => j.state === 'running') ?? null);
  waiting = $derived(this.jobs.filter((j) => j.state === 'pending'));
  /** Of the chosen frames those that the board shows, in the story's order. */
  picked = $derived(this.shown.flatMap((f) => (this.chosen.has(f.index) ? [f.index] : [])).sort((a, b) => a - b));
  /** What would be painted and is not in the queue yet; null where that is nothing. */
  lacking = $derived.by<{ frames: number[]; people: string[] } | null>(() => {
    const { cost, frames, characters } = this.story ?? { cost: null, frames: [], characters: [] };
    const left = cost?.frames.filter((i) => !waits(frames[i]?.state)) ?? [];
    const people = cost?.characters.filter((name) => !waits(characters.find((p) => p.name === name)?.state)) ?? [];
    return left.length || people.length ? { frames: left, people } : null;
  });

  #events: EventSource | null = null;
  #server = '';
  #again = 0;
  #notes = 0;
  /** Counts what is asked and taken, so that a late answer does not undo a newer one. */
  #turn = 0;
  #taken = 0;
  #showing = 0;
  #listed = 0;

  async start() {
    const token = /^#token=(.+)$/.exec(location.hash)?.[1];
    if (token) {
      history.replaceState(null, '', location.pathname);
      await api.login(decodeURIComponent(token)).catch((error: Error) => this.note(error.message, true));
    }
    const session = await this.try(() => api.session());
    this.login = session?.open === false;
    if (!session?.open) return;
    this.options = (await this.try(() => api.options())) ?? null;
    await this.list();
    await this.queue();
    const asked = /^\/story\/([0-9a-f]{12})/.exec(location.pathname)?.[1];
    const first = [asked, ...this.open].find((id) => this.stories.some((s) => s.id === id)) ?? this.stories[0]?.id;
    if (first) await this.show(first);
    else this.listen();
  }

  /** What `work` answers; what it refuses is said, and gives nothing. */
  async try<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 401) this.login = true;
      else this.note(error.message, true);
      if (error.code === 'conflict') await this.reload();
      return undefined;
    }
  }

  async list() {
    const asked = ++this.#listed;
    const all = await this.try(() => api.stories());
    if (!all || asked !== this.#listed) return;
    this.stories = all.stories;
    const there = (id: string) => all.stories.some((s) => s.id === id);
    this.keepOpen(this.open.filter(there));
    if (this.story && !there(this.story.id)) this.close(this.story.id);
  }

  async queue() {
    const queue = await this.try(() => api.queue());
    if (queue) this.jobs = queue.jobs;
  }

  async show(id: string) {
    const asked = (this.#showing = ++this.#turn);
    const story = await this.try(() => api.story(id));
    if (!story) return;
    if (!this.open.includes(id)) this.keepOpen([...this.open, id]);
    if (asked !== this.#showing) return; // another one was asked for meanwhile
    if (id === this.story?.id) return this.take(story, asked);
    this.#taken = asked;
    this.story = story;
    Object.assign(this, { cursor: 0, anchor: 0, chosen: new Set(), query: '', filter: 'all', compared: [], side: 'none' });
    if (story.problem) this.writing = true; // where it is mended
    if (location.pathname !== `/story/${id}`) history.pushState(null, '', `/story/${id}`);
    document.title = `${story.title} · ${t.studio}`;
    scrollTo(0, 0);
    this.listen();
  }

  close(id: string) {
    this.keepOpen(this.open.filter((one) => one !== id));
    if (id !== this.story?.id) return;
    const next = this.open.at(-1);
    if (next) return void this.show(next);
    this.#showing = ++this.#turn;
    this.story = null;
    this.listen();
  }

  keepOpen(ids: string[]) {
    this.open = ids;
    localStorage.setItem('open', JSON.stringify(ids));
  }

  /** Take over a story that the server answered with, unless one was taken that is newer than when it was `asked` for. */
  take(story: Story, asked = Infinity) {
    const before = this.story;
    if (story.id !== before?.id || asked < this.#taken) return;
    this.#taken = Number.isFinite(asked) ? asked : ++this.#turn; // of two that were asked for the later stays
    // Cursor, choice and drafts go with their frames, whoever moved them.
    const place = moves(before.frames, story.frames);
    const near = (i: number) => (place(i) < 0 ? Math.max(0, Math.min(i, story.frames.length - 1)) : place(i));
    follow(before, story);
    this.story = story;
    this.cursor = near(this.cursor);
    this.anchor = near(this.anchor);
    this.chosen = new Set([...this.chosen].map(place).filter((i) => i >= 0));
    document.title = `${story.title} · ${t.studio}`;
  }

  async reload() {
    const id = this.story?.id;
    if (!id) return;
    const asked = ++this.#turn;
    const story = await this.try(() => api.story(id));
    if (story) this.take(story, asked);
  }

  listen() {
    this.#events?.close();
    const of = this.story ? `?story=${this.story.id}&at=${this.story.at}` : '';
    const events = new EventSource(`/api/events${of}`);
    const on = (name: string, act: (data: any) => void) =>
      events.addEventListener(name, (e) => act(JSON.parse((e as MessageEvent<string>).data)));
    on('hello', ({ started }: { started: string }) => {
      const missed = !this.online || (this.#server && this.#server !== started);
      if (this.#server && this.#server !== started) this.note(t.restarted);
      this.#server = started;
      this.online = true;
      if (missed) void Promise.all([this.reload(), this.list(), this.queue()]);
    });
    on('live', (live: Live) => {
      const next = live.job !== this.live?.job || live.part !== this.live.part;
      this.live = live;
      if (next && live.story === this.story?.id) this.#soon(); // another frame is painted
    });
    on('queue', (queue: { jobs: Job[] }) => {
      this.jobs = queue.jobs;
      if (!this.running) this.live = null;
    });
    on('story', ({ id }: { id: string }) => {
      if (id === this.story?.id) this.#soon();
    });
    on('stories', () => void this.list());
    on('run', (told: { event: string; index?: number; message?: string }) => {
      if (told.event === 'FrameReady') this.say(t.finished((told.index ?? 0) + 1));
      if (told.event === 'Warned' && told.message) this.note(told.message);
    });
    events.onerror = () => {
      this.online = false;
      // A browser comes back by itself from a lost line, and not from an answer that is no stream.
      if (events.readyState === EventSource.CLOSED) setTimeout(() => events === this.#events && this.listen(), PAUSE);
    };
    this.#events = events;
  }

  /** Load the story again when what tells of changes is silent for a moment. */
  #soon() {
    clearTimeout(this.#again);
    this.#again = window.setTimeout(() => void this.reload(), 60);
  }

  /** How far the painting of this frame of the open story is, if it is the one that is painted. */
  liveOf(frame: Frame): Live | null {
    const live = this.live?.story === this.story?.id && this.live?.job === this.running?.id ? this.live : null;
    return frame.state === 'painting' ? live : null;
  }

  /** Whether closing the page loses what was typed. */
  get unsaved(): boolean {
    return unsaved(this.stories.map((s) => s.id));
  }

  /** A sentence at the edge of the page, for a while; screen readers hear it. */
  note(text: string, bad = false, action?: Note['action']) {
    const id = ++this.#notes;
    this.said = text;
    this.notes = [...this.notes.filter((n) => n.text !== text).slice(-2), { id, text, bad, action }];
    setTimeout(() => this.drop(id), bad || action ? 12_000 : 6_000);
  }

  drop(id: number) {
    this.notes = this.notes.filter((n) => n.id !== id);
  }

  /** Say something to screen readers alone. */
  say(text: string) {
    this.said = text;
  }

  select(index: number, how: 'one' | 'more' | 'range' = 'one') {
    if (how === 'one') this.chosen = new Set([index]);
    else if (how === 'more') {
      const set = new Set(this.chosen);
      if (!set.delete(index)) set.add(index);
      this.chosen = set;
    } else {
      const order = this.shown.map((f) => f.index);
      const [a, b] = [Math.max(0, order.indexOf(this.anchor)), order.indexOf(index)].sort((x, y) => x - y) as [number, number];
      this.chosen = new Set(order.slice(a, b + 1));
    }
    if (how !== 'range') this.anchor = index;
    this.cursor = index;
    this.compared = [];
  }

  /** The places that an action is for, of frames that can be seen: those chosen, else the one under the cursor. */
  get places(): number[] {
    if (this.picked.length) return this.picked;
    const seen = this.side === 'frame' || this.shown.some((f) => f.index === this.cursor);
    return this.frame && seen ? [this.cursor] : [];
  }
}

const waits = (state?: State) => state === 'queued' || state === 'painting';

export const studio = new Studio();
