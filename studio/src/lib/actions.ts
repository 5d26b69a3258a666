/** What a user does to a story; each can be undone where that means something. */
import { tick } from 'svelte';
import { t } from '../texts';
import { api } from './api';
import { follow } from './drafts.svelte';
import { library } from './library.svelte';
import { studio } from './studio.svelte';
import { inTurn, last, remember, since, undo, type Now } from './turns';
import type { Change, Edit, Settings, Several, Story } from './types';

/** Change the text by `work`, and remember the text before; `work` may find that nothing is to be done. */
const change = (name: string, work: Work) => inTurn((story, now) => changed(name, story, work(story, now)));
type Work = (story: Story, now: Now) => Promise<Story> | null;

async function changed(name: string, before: Story, begun: Promise<Story> | null): Promise<Story | undefined> {
  const after = begun && (await studio.try(() => begun));
  if (!after) return undefined;
  if (studio.story?.id === after.id) studio.take(after);
  else follow(before, after);
  if (after.text !== before.text)
    remember({
      story: before.id,
      name,
      valid: (story, back) => story.text === (back ? after.text : before.text),
      back: (story) => api.write(story, before.text),
      forth: (story) => api.write(story, after.text),
    });
  return after;
}

/** Another text in place of `base`, the one that it began from, and of no other. */
export const write = (text: string, base: string) =>
  change(t.did.text, (story) => (story.text === base ? api.write(story, text) : null));
const edit = (name: string, edits: Edit[] | ((now: Now) => Edit[])) =>
  change(name, (story, now) => {
    const some = typeof edits === 'function' ? edits(now) : edits;
    return some.length ? api.edit(story, some) : null;
  });

export const setScene = (index: number, set: Change) =>
  edit(t.did.scene(index + 1), (now) => now([index]).map((index) => ({ do: 'scene', index, set })));
export const setPerson = (name: string, set: Change) => edit(t.did.person(name), [{ do: 'character', name, set }]);
export const addPerson = (set: Change) => edit(t.did.newPerson, [{ do: 'person', set }]);
export const dismiss = (name: string) => edit(t.did.dismiss(name), [{ do: 'dismiss', name }]);
/** Another face that was found for the same words; 0 is that of the story's own search. */
export const takeFace = (name: string, seed: number) =>
  edit(t.did.face(name), [{ do: 'character', name, set: { seed: seed || null } }]);
/** A face of the library for somebody of the story, for somebody new, or none (`character` null). */
export const cast = (character: string | null, name?: string) =>
  change(character ? t.did.cast(character) : t.did.uncast(name ?? ''), (story) => api.cast(story, { character, name }));

/** A new scene at the end; it becomes the chosen one. */
export async function addScene(prompt: string) {
  const added = await change(t.did.add, (story) =>
    api.edit(story, [{ do: 'add', index: story.frames.length, set: { prompt } }]),
  );
  if (added && added.id === studio.story?.id) studio.select(added.frames.length - 1);
  return added;
}

const onBoard = () => document.activeElement?.matches('[role=option]') ?? false;

/** The focus stays with the frame under the cursor, wherever it went. */
async function refocus() {
  await tick();
  document.querySelector<HTMLElement>(`[data-index="${studio.cursor}"]`)?.focus();
}

/** The order in which the frames of `places` stand before the place `to` (of the board as it is now). */
function orderOf(story: Story, places: number[], to: number): number[] {
  const all = story.frames.map((f) => f.index);
  const moving = new Set(places);
  return [...all.filter((i) => i < to && !moving.has(i)), ...places, ...all.filter((i) => i >= to && !moving.has(i))];
}

/** Move frames to where `to` says, given their places. */
async function move(to: (places: number[], count: number, now: Now) => number, asked = studio.places) {
  const held = onBoard();
  const moved = await change(t.did.move, (story, now) => {
    const places = now(asked);
    const order = orderOf(story, places, to(places, story.frames.length, now));
    return order.every((one, i) => one === i) ? null : api.edit(story, [{ do: 'order', scenes: order }]);
  });
  if (moved?.id !== studio.story?.id || !moved) return;
  if (held) await refocus();
  studio.say(t.movedTo(studio.cursor + 1, moved.frames.length));
}

export const moveTo = (to: number) => move((_, count, now) => now([to])[0] ?? count);

/** Move frames by one place, earlier or later. */
export function moveBy(step: 1 | -1, places = studio.places) {
  if (!studio.ordered) return;
  const to = ([first = 0, ...more]: number[], count: number) =>
    step < 0 ? Math.max(0, first - 1) : Math.min(count, (more.at(-1) ?? first) + 2);
  void move(to, places);
}

export async function removeScenes(places = studio.places) {
  const held = onBoard();
  const choice = places.some((i) => studio.chosen.has(i));
  const left = await edit(t.did.remove(places.length), (now) =>
    now(places)
      .toReversed()
      .map((index) => ({ do: 'remove', index })),
  );
  if (!left) return;
  const step = last(); // it has just been remembered
  if (left.id === studio.story?.id) {
    if (choice) studio.chosen = new Set();
    if (held) await refocus();
  }
  studio.note(t.removed(places.length), false, { name: t.undo, do: () => void undo(step) });
}

export const lock = (places = studio.places) => inTurn((story, now) => locked(story, now(places)));

async function locked(story: Story, asked: number[]) {
  const frames = asked.flatMap((i) => story.frames[i] ?? []).filter((f) => f.picture);
  if (!frames.length) return studio.note(t.nothingToLock);
  const shut = !frames.every((f) => f.locked);
  const places = frames.flatMap((f) => (f.locked !== shut ? [f.index] : []));
  const set = async (now: Story, value: boolean) => {
    for (const i of since(story, now)(places)) now = await api.lock(now, i, value);
    return now;
  };
  const after = await studio.try(() => set(story, shut));
  if (!after) return;
  studio.take(after);
  studio.say(shut ? t.lockedNow(places.length) : t.unlockedNow(places.length));
  remember({
    story: story.id,
    name: shut ? t.did.lock : t.did.unlock,
    valid: (now) => since(story, now)(places).length === places.length,
    back: (now) => set(now, !shut),
    forth: (now) => set(now, shut),
  });
}

export const choose = (index: number, picture: string) =>
  inTurn((story, now) => Promise.all(now([index]).map((i) => chosen(story, i, picture))));

async function chosen(story: Story, index: number, picture: string) {
  const before = story.frames[index]?.picture;
  if (!before || before === picture) return;
  const choose = async (now: Story, one: string) => {
    for (const i of since(story, now)([index])) now = await api.choose(now, i, one);
    return now;
  };
  const after = await studio.try(() => choose(story, picture));
  if (!after) return;
  studio.take(after);
  studio.say(t.chosenNow(index + 1));
  remember({
    story: story.id,
    name: t.did.choose,
    valid: (now, back) => since(story, now)([index]).some((i) => now.frames[i]?.picture === (back ? picture : before)),
    back: (now) => choose(now, before),
    forth: (now) => choose(now, picture),
  });
}

/** Put a job into the queue; `work` may find that nothing is to be done. */
const queued = (work: (story: Story, now: Now) => Promise<unknown> | null, asked = studio.story) =>
  inTurn(async (story, now) => {
    const begun = work(story, now);
    if (!begun || !(await studio.try(() => begun))) return;
    studio.say(t.inQueue);
    await studio.reload();
  }, asked);

/** Paint all that is neither finished nor in the queue. */
export const paint = () => queued((story) => (studio.lacking && !story.problem ? api.paint(story) : null));
/** Paint the frame that stood at `index` of `asked`. */
export const paintOne = (index: number, asked: Story) =>
  queued((story, now) => {
    const only = now([index]);
    return only.length ? api.paint(story, { only }) : null;
  }, asked);
/** Look for a face, or for another one of the same words. */
export const find = (name: string, again: boolean) =>
  queued((story) => (again ? api.find(story, name) : api.paint(story, { cast_only: true })));
/** Look for several people of one description, or take one of them; 0 gives them back. */
export const findSeveral = (of: Several) => queued((story) => api.candidates(story, of));
export const takeCandidate = (name: string, number: number, kin = '') => queued((story) => api.take(story, name, number, kin));
/** Look at every finished picture for who is in it, and what is wrong. */
export const check = () => queued((story) => api.check(story));
export const keep = (name: string, called: string) => queued((story) => api.keep(story, name, called));

export const reroll = (count = 1, places = studio.places) =>
  queued((story, now) => {
    const there = now(places);
    const indexes = there.filter((i) => !story.frames[i]?.locked);
    if (!indexes.length && there.length) studio.note(t.unlockFirst);
    return indexes.length ? api.reroll(story, { indexes, count }) : null;
  });

export const withSeed = (index: number, seed: number) =>
  queued((story, now) => {
    const indexes = now([index]);
    return indexes.length ? api.reroll(story, { indexes, seeds: [seed] }) : null;
  });

export const setStory = (set: Change) => edit(t.did.story, [{ do: 'story', set }]);

export const settings = (values: Settings) => inTurn((story) => set(story, values));

async function set(before: Story, values: Settings): Promise<Story | undefined> {
  if (JSON.stringify(values) === JSON.stringify(before.settings)) return before;
  const after = await studio.try(() => api.settings(before.id, values));
  if (!after) return undefined;
  studio.take(after);
  remember({
    story: before.id,
    name: t.did.settings,
    valid: () => true,
    back: (story) => api.settings(story.id, before.settings),
    forth: (story) => api.settings(story.id, values),
  });
  return after;
}

export async function create(title: string) {
  const story = await studio.try(() => api.create(title));
  if (!story) return;
  await studio.list();
  await studio.show(story.id);
}

export async function importFile(file: File) {
  if (file.name.toLowerCase().endsWith('.character')) return library.bring(file);
  const made = await studio.try(() => api.importFile(file));
  if (!made) return;
  await studio.list();
  await studio.show(made.story.id);
  for (const line of [...made.told, ...(made.fill_in.length ? [t.fillIn(made.fill_in.join(', '))] : [])])
    studio.note(line);
}

export async function removeStory(id: string, title: string) {
  if ((await studio.try(() => api.remove(id))) === undefined) return;
  studio.close(id);
  await studio.list();
  const back = async () => {
    await studio.try(() => api.restore(id));
    await studio.list();
    await studio.show(id);
  };
  studio.note(t.storyRemoved(title), false, { name: t.undo, do: () => void back() });
}
