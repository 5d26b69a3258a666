/** What the page shows: a projection of the server's state, and where the user is in it. */
import { t } from '../texts';
import { Refused, api } from './api';
import type { Frame, Job, Listed, Live, Options, Scores, Story } from './types';

export type View = 'board' | 'cast';
export type Side = 'none' | 'frame' | 'queue';
export type Filter = 'all' | 'todo' | 'look' | 'locked' | 'worst';
export type Window = 'none' | 'help' | 'compare' | 'new' | 'settings' | 'large';

export interface Note {
  id: number;
  text: string;
  bad: boolean;
  action?: { name: string; do: () => void };
}

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

  #events: EventSource | null = null;
  #server = '';
  #again = 0;
  #notes = 0;
  /** Counts what is asked and taken, so that a late answer does not undo a newer one. */
  #turn = 0;
  #taken = 0;

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
    const all = await this.try(() => api.stories());
    if (!all) return;
    this.stories = all.stories;
    this.keepOpen(this.open.filter((id) => all.stories.some((s) => s.id === id)));
  }

  async queue() {
    const queue = await this.try(() => api.queue());
    if (queue) this.jobs = queue.jobs;
  }

  async show(id: string) {
    const story = await this.try(() => api.story(id));
    if (!story) return;
    const other = id !== this.story?.id;
    this.story = story;
    if (!other) return;
    Object.assign(this, { cursor: 0, anchor: 0, chosen: new Set(), query: '', filter: 'all', compared: [], side: 'none' });
    if (story.problem) this.writing = true; // where it is mended
    if (!this.open.includes(id)) this.keepOpen([...this.open, id]);
    if (location.pathname !== `/story/${id}`) history.pushState(null, '', `/story/${id}`);
    document.title = `${story.title} · ${t.studio}`;
    scrollTo(0, 0);
    this.listen();
  }

  close(id: string) {
    this.keepOpen(this.open.filter((one) => one !== id));
    if (id !== this.story?.id) return;
    const next = this.open.at(-1);
    if (next) void this.show(next);
    else this.story = null;
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
    // Cursor and choice go with their frames, whoever moved them.
    const [old, now] = [names(before.frames), names(story.frames)];
    const last = Math.max(0, story.frames.length - 1);
    const moved = (i: number) => {
      const place = now.indexOf(old[i] ?? '');
      return place < 0 ? Math.min(i, last) : place;
    };
    this.story = story;
    this.cursor = moved(this.cursor);
    this.anchor = moved(this.anchor);
    this.chosen = new Set([...this.chosen].map(moved));
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
    on('live', (live: Live) => (this.live = live));
    on('queue', (queue: { jobs: Job[] }) => {
      this.jobs = queue.jobs;
      if (!this.running) this.live = null;
    });
    on('story', ({ id }: { id: string }) => {
      if (id !== this.story?.id) return;
      clearTimeout(this.#again);
      this.#again = window.setTimeout(() => void this.reload(), 60);
    });
    on('stories', () => void this.list());
    on('run', (told: { event: string; index?: number; message?: string }) => {
      if (told.event === 'FrameReady') this.say(t.finished((told.index ?? 0) + 1));
      if (told.event === 'Warned' && told.message) this.note(told.message);
    });
    events.onerror = () => (this.online = false);
    this.#events = events;
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

  /** The places that an action is for: those chosen, else the one under the cursor. */
  get places(): number[] {
    const many = [...this.chosen].sort((a, b) => a - b);
    return many.length ? many : this.frame ? [this.cursor] : [];
  }
}

/** A name for each frame that stays with it while it moves: its id or words, and which of those it is. */
export function names(frames: Frame[]): string[] {
  const seen = new Map<string, number>();
  return frames.map((f) => {
    const name = f.id || f.text;
    seen.set(name, (seen.get(name) ?? 0) + 1);
    return `${seen.get(name)} ${name}`;
  });
}

const todo = (f: Frame) => f.state === 'empty' || f.state === 'stale' || f.state === 'failed';

export function matches(f: Frame, filter: Filter): boolean {
  if (filter === 'todo') return todo(f);
  if (filter === 'look') return f.state === 'missing' || f.state === 'failed';
  if (filter === 'locked') return f.locked;
  if (filter === 'worst') return f.check !== null || lowest(f) !== null;
  return true;
}

/** The lowest score of a frame and which it is, each as a share; null where nothing was measured. */
export function lowest(f: Frame): { name: keyof Scores; share: number } | null {
  const { same_person, words, faces } = f.scores ?? { same_person: null, words: null, faces: null };
  const shares = { faces: faces === null ? null : faces / Math.max(1, f.cast.length), same_person, words };
  const known = Object.entries(shares).filter((one): one is [keyof Scores, number] => one[1] !== null);
  const [name, share] = known.sort((a, b) => a[1] - b[1])[0] ?? [];
  return name === undefined || share === undefined ? null : { name, share };
}

const score = (f: Frame) => lowest(f)?.share ?? 1;
/** How suspicious a check found a frame; of one that nobody checked, how far its lowest score is from all. */
const badness = (f: Frame) => f.check?.suspicion ?? 1 - score(f);

export const studio = new Studio();
