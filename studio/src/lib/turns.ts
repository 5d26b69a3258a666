/** One thing after the other, and what of it can be undone. */
import { t } from '../texts';
import { moves } from './scene';
import { studio } from './studio.svelte';
import type { Story } from './types';

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

export function remember(step: Step) {
  done.push(step);
  if (done.length > 200) done.shift();
  undone.length = 0;
}

/** What was done last. */
export const last = () => done.at(-1);

async function replay(story: Story, from: Step[], to: Step[], back: boolean, only?: Step) {
  const step = from.findLast((s) => s.story === story.id && (!only || s === only));
  if (!step) return studio.note(back ? t.nothingToUndo : t.nothingToRedo);
  const valid = step.valid(story, back);
  const now = valid && (await studio.try(() => (back ? step.back(story) : step.forth(story))));
  if (valid && !now) return; // it can be tried again
  from.splice(from.indexOf(step), 1);
  if (!now) return studio.note(t.changedElsewhere);
  to.push(step);
  studio.take(now);
  studio.note(back ? t.undid(step.name) : t.redid(step.name));
}

/** Undo the last step, or one step and no other. */
export const undo = (only?: Step) => inTurn((story) => replay(story, done, undone, true, only));
export const redo = () => inTurn((story) => replay(story, undone, done, false));

/** Where frames stand now that stood at these places before; those that are gone are left out. */
export type Now = (places: number[]) => number[];

export const since =
  (before: Story, story: Story): Now =>
  (places) => places.map(moves(before.frames, story.frames)).filter((i) => i >= 0).sort((a, b) => a - b);

let before: Promise<unknown> = Promise.resolve();

/** One after the other: what is done before the last answer came begins with that answer, and finds the frames that it was
 * `asked` for wherever they are then. */
export function inTurn<T>(work: (story: Story, now: Now) => Promise<T> | null, asked = studio.story): Promise<T | undefined> {
  const mine = before.then(async () => {
    const story = studio.story;
    if (!asked || !story) return undefined;
    if (story.id === asked.id) return (await work(story, since(asked, story))) ?? undefined;
    studio.note(t.otherStory);
    return undefined;
  });
  before = mine.catch(() => undefined);
  return mine;
}
