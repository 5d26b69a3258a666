/** What was found in a picture, in a few words each. */
import { t } from '../texts';
import type { Frame } from './types';

/** Who is surely in it, or not, of those whom a check marked. */
export const marks = (f: Frame): [string, string][] =>
  Object.entries(f.check?.marks ?? {}).filter(([, mark]) => mark in t.marks);

/** What is wrong: by a check, else by who painted it, and what was expected and does not hold. */
export function wrong(f: Frame): string[] {
  const seen = f.people === null ? [] : [t.peopleSeen(f.people)];
  const failed = f.expected.filter((one) => one.holds === false);
  return [...(f.check?.faults ?? seen), ...failed.map((one) => t.expectedNot(one.line, one.read))];
}

/** All of it on one line; empty where nothing was found. */
export const line = (f: Frame) =>
  [...wrong(f), ...marks(f).map(([name, mark]) => t.marked(name, t.marks[mark] ?? mark))].join(' · ');
