/** What a user does to a story; each can be undone where that means something. */
import { tick } from 'svelte';
import { t } from '../texts';
import { api } from './api';
import { library } from './library.svelte';
import { studio } from './studio.svelte';
import type { Change, Edit, Settings, Several, Story } from './types';

interface Step {
  story: string;
  name: string;
  /** True while the story is still as the step left it. */
  valid: (story: Story, back: boolean) => boolean;
  back: (story: Story) => Promise<Story>;
  forth: (story: Story) => Promise<Story>;
}

const done: Step[] = [];
const undone: Step[] = [];

function remember(step: Step) {
  done.push(step);
  if (done.length > 200) done.shift();
  undone.length = 0;
}

async function replay(from: Step[], to: Step[], back: boolean) {
  const story = studio.story;
  const at = from.findLastIndex((s) => s.story === story?.id);
  const step = from[at];
  if (!story || !step) return studio.note(back ? t.nothingToUndo : t.nothingToRedo);
  from.splice(at, 1);
  if (!step.valid(story, back)) return studio.note(t.changedElsewhere);
  const now = await studio.try(() => (back ? step.back(story) : step.forth(story)));
  if (!now) return;
  to.push(step);
  studio.take(now);
  studio.note(back ? t.undid(step.name) : t.redid(step.name));
}

export const undo = () => inTurn(() => replay(done, undone, true));
export const redo = () => inTurn(() => replay(undone, done, false));

let last: Promise<unknown> = Promise.resolve();

/** One after the other: what is done before the last answer came begins with that answer. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const mine = last.then(work);
  last = mine.catch(() => undefined);
  return mine;
}

/** Change the text by `work`, and remember the text before; `work` may find that nothing is to be done. */
const change = (name: string, work: Work) => inTurn(() => changed(name, work));
type Work = (story: Story) => Promise<Story> | null;

async function changed(name: string, work: Work): Promise<Story | undefined> {
  const before = studio.story;
  const begun = before && work(before);
  if (!begun) return undefined;
  const after = await studio.try(() => begun);
  if (!after) return undefined;
  studio.take(after);
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

export const write = (text: string) => change(t.did.text, (story) => api.write(story, text));
const edit = (name: string, edits: Edit[]) => change(name, (story) => (edits.length ? api.edit(story, edits) : null));

export const setScene = (index: number, set: Change) => edit(t.did.scene(index + 1), [{ do: 'scene', index, set }]);
export const setPerson = (name: string, set: Change) => edit(t.did.person(name), [{ do: 'character', name, set }]);
export const addPerson = (set: Change) => edit(t.did.newPerson, [{ do: 'person', set }]);
export const dismiss = (name: string) => edit(t.did.dismiss(name), [{ do: 'dismiss', name }]);
/** Another face that was found for the same words; 0 is that of the story's own search. */
export const takeFace = (name: string, seed: number) =>
  edit(t.did.face(name), [{ do: 'character', name, set: { seed: seed || null } }]);
/** A face of the library for somebody of the story, for somebody new, or none (`character` null). */
export const cast = (character: string | null, name?: string) =>
  change(character ? t.did.cast(character) : t.did.uncast(name ?? ''), (story) => api.cast(story, { character, name }));

/** A new scene at the end, or at a place; it becomes the chosen one. */
export async function addScene(prompt: string, index = studio.story?.frames.length ?? 0) {
  const story = await edit(t.did.add, [{ do: 'add', index, set: { prompt } }]);
  if (story) studio.select(index);
  return story;
}

const onBoard = () => document.activeElement?.matches('[role=option]') ?? false;

/** The focus stays with the frame under the cursor, wherever it went. */
async function follow() {
  await tick();
  document.querySelector<HTMLElement>(`[data-index="${studio.cursor}"]`)?.focus();
}

/** The order in which the chosen frames stand before the place `to` (of the board as it is now). */
function orderOf(story: Story, to: number): number[] {
  const all = story.frames.map((f) => f.index);
  const places = studio.places;
  const moving = new Set(places);
  return [...all.filter((i) => i < to && !moving.has(i)), ...places, ...all.filter((i) => i >= to && !moving.has(i))];
}

/** Move the chosen frames to where `to` says, given their places. */
async function move(to: (places: number[], count: number) => number) {
  const held = onBoard();
  const moved = await change(t.did.move, (story) => {
    const order = orderOf(story, to(studio.places, story.frames.length));
    return order.every((one, i) => one === i) ? null : api.edit(story, [{ do: 'order', scenes: order }]);
  });
  if (!moved) return;
  if (held) await follow();
  studio.say(t.movedTo(studio.cursor + 1, moved.frames.length));
}

export const moveTo = (to: number) => move(() => to);

/** Move the chosen frames by one place, earlier or later. */
export function moveBy(step: 1 | -1) {
  if (!studio.ordered) return;
  void move(([first = 0, ...more], count) => (step < 0 ? Math.max(0, first - 1) : Math.min(count, (more.at(-1) ?? first) + 2)));
}

export async function removeScenes() {
  const places = studio.places;
  const edits = places.toReversed().map((index): Edit => ({ do: 'remove', index }));
  const held = onBoard();
  if (!edits.length || !(await edit(t.did.remove(places.length), edits))) return;
  studio.chosen = new Set();
  if (held) await follow();
  studio.note(t.removed(places.length), false, { name: t.undo, do: () => void undo() });
}

export const lock = () => inTurn(locked);

async function locked() {
  const story = studio.story;
  const frames = studio.places.map((i) => story?.frames[i]).filter((f) => f?.picture);
  if (!story || !frames.length) return studio.note(t.nothingToLock);
  const shut = !frames.every((f) => f?.locked);
  const places = frames.flatMap((f) => (f && f.locked !== shut ? [f.index] : []));
  const set = async (story: Story, value: boolean) => {
    for (const i of places) story = await api.lock(story, i, value);
    return story;
  };
  const after = await studio.try(() => set(story, shut));
  if (!after) return;
  studio.take(after);
  studio.say(shut ? t.lockedNow(places.length) : t.unlockedNow(places.length));
  remember({
    story: story.id,
    name: shut ? t.did.lock : t.did.unlock,
    valid: (story) => places.every((i) => i < story.frames.length),
    back: (story) => set(story, !shut),
    forth: (story) => set(story, shut),
  });
}

export const choose = (index: number, picture: string) => inTurn(() => chosen(index, picture));

async function chosen(index: number, picture: string) {
  const story = studio.story;
  const before = story?.frames[index]?.picture;
  if (!story || !before || before === picture) return;
  const after = await studio.try(() => api.choose(story, index, picture));
  if (!after) return;
  studio.take(after);
  studio.say(t.chosenNow(index + 1));
  remember({
    story: story.id,
    name: t.did.choose,
    valid: (story, back) => story.frames[index]?.picture === (back ? picture : before),
    back: (story) => api.choose(story, index, before),
    forth: (story) => api.choose(story, index, picture),
  });
}

const queued = (work: (story: Story) => Promise<unknown>) =>
  inTurn(async () => {
    const story = studio.story;
    if (!story || !(await studio.try(() => work(story)))) return;
    studio.say(t.inQueue);
    await studio.reload();
  });

export const paint = (only?: number[]) => queued((story) => api.paint(story, only ? { only } : {}));
/** Look for a face, or for another one of the same words. */
export const find = (name: string, again: boolean) =>
  queued((story) => (again ? api.find(story, name) : api.paint(story, { cast_only: true })));
/** Look for several people of one description, or take one of them; 0 gives them back. */
export const findSeveral = (of: Several) => queued((story) => api.candidates(story, of));
export const takeCandidate = (name: string, number: number, kin = '') => queued((story) => api.take(story, name, number, kin));
/** Look at every finished picture for who is in it, and what is wrong. */
export const check = () => queued((story) => api.check(story));
export const keep = (name: string, called: string) => queued((story) => api.keep(story, name, called));

export function reroll(count = 1) {
  const indexes = studio.places.filter((i) => !studio.story?.frames[i]?.locked);
  if (!indexes.length) return studio.places.length ? studio.note(t.unlockFirst) : undefined;
  return queued((story) => api.reroll(story, { indexes, count }));
}

export const withSeed = (index: number, seed: number) => queued((story) => api.reroll(story, { indexes: [index], seeds: [seed] }));

export const setStory = (set: Change) => edit(t.did.story, [{ do: 'story', set }]);

export async function settings(values: Settings) {
  const before = studio.story;
  if (!before || JSON.stringify(values) === JSON.stringify(before.settings)) return before;
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
