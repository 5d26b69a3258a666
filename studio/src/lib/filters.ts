/** Which frames the board shows, and which are the worst. */
import type { Frame, Scores } from './types';

export type Filter = 'all' | 'todo' | 'look' | 'locked' | 'worst';

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

export const score = (f: Frame) => lowest(f)?.share ?? 1;
/** How suspicious a check found a frame; of one that nobody checked, how far its lowest score is from all. */
export const badness = (f: Frame) => f.check?.suspicion ?? 1 - score(f);
