/** Reading what a job is at. */
import type { Live } from './types';

/** The index that the frame which is painted had when its job was given, or null. */
export function frameOf(live: Live | null): number | null {
  const number = /^frames\/(\d+)/.exec(live?.part ?? '')?.[1];
  return number ? Number(number) - 1 : null;
}

/** The name of the character that is looked for, or null. */
export function personOf(live: Live | null): string | null {
  return /^cast\/(.+)/.exec(live?.part ?? '')?.[1] ?? null;
}
