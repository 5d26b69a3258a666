/** What a change would repaint, in a sentence, before it is done. */
import { t } from '../texts';
import { Refused, api } from './api';
import type { Cost, Edit, Story } from './types';

export function sentence(cost: Cost, before: Cost): string {
  const frames = cost.frames.filter((i) => !before.frames.includes(i)).length;
  const people = cost.characters.filter((name) => !before.characters.includes(name));
  const seconds = cost.seconds === null ? null : Math.max(0, cost.seconds - (before.seconds ?? 0));
  const when = seconds ? t.time(seconds) : '';
  const found = people.length ? ` ${t.willFind(people.join(', '))}` : '';
  return frames || found ? [t.willRepaint(frames, when) + found, because(cost, before.frames)].filter(Boolean).join(' ') : t.repaintsNothing;
}

const MOST = 3; // reasons that a sentence has

/** Why frames would be painted, in a sentence: those of `known` are told already. */
export function because(cost: Cost, known: number[] = []): string {
  const counts = new Map<string, number>();
  const more = cost.frames.flatMap((index, n) => (known.includes(index) ? [] : [cost.why[n] ?? '']));
  for (const why of more) for (const one of why.split('; ')) if (one) counts.set(one, (counts.get(one) ?? 0) + 1);
  const reasons = [...counts].sort((a, b) => b[1] - a[1]);
  return reasons.length ? t.because(reasons.slice(0, MOST), more.length, Math.max(0, reasons.length - MOST)) : '';
}

/** Set once a server has shown that it cannot tell what edits cost. */
let mute = false;

/** The cost of edits; `frames` is the answer of a server that cannot tell. */
export async function costOf(story: Story, edits: Edit[], frames: number): Promise<string> {
  try {
    if (!mute) return sentence(await api.cost(story, { edits }), story.cost);
  } catch (error) {
    if (error instanceof Refused && error.status === 400) return error.message;
    mute = true;
  }
  return frames ? t.willRepaint(frames, '') : t.repaintsNothing;
}

/** The cost of another text. */
export async function costOfText(story: Story, text: string): Promise<string> {
  try {
    return sentence(await api.cost(story, { text }), story.cost);
  } catch {
    return '';
  }
}
