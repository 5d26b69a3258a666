/** A scene as the inspector's form has it, what of the form is to be written, and where a scene is found again. */
import type { Change, Frame } from './types';

const nameOf = (f: Frame) => f.id || f.text;

/** A name for each frame that stays with it while it moves: its id or words, and which of those it is. */
export function names(frames: Frame[]): string[] {
  const seen = new Map<string, number>();
  return frames.map((f) => {
    const name = nameOf(f);
    seen.set(name, (seen.get(name) ?? 0) + 1);
    return `${seen.get(name)} ${name}`;
  });
}

/** Where a frame stands in what became of its story: found by name, or by place where no frame came or went; -1 is gone. */
export function moves(before: Frame[], now: Frame[]): (index: number) => number {
  // What did not change at both ends stays itself, so that of two frames of the same words the right one is found.
  const least = Math.min(before.length, now.length);
  const same = (a?: Frame, b?: Frame) => a !== undefined && b !== undefined && nameOf(a) === nameOf(b);
  let start = 0;
  while (start < least && same(before[start], now[start])) start++;
  let end = 0;
  while (end < least - start && same(before.at(-1 - end), now.at(-1 - end))) end++;
  const [old, next] = [before, now].map((all) => names(all.slice(start, all.length - end))) as [string[], string[]];
  return (index) => {
    if (index < 0 || index >= before.length) return -1;
    if (index < start) return index;
    if (index >= before.length - end) return index + now.length - before.length;
    const i = index - start;
    const place = next.indexOf(old[i] ?? '');
    if (place >= 0) return place + start;
    return before.length === now.length && !old.includes(next[i] ?? '') ? index : -1;
  };
}

export interface Line {
  who: string;
  says: string;
}

const turns = ['yaw', 'pitch', 'roll'] as const;
export type Turn = (typeof turns)[number];
type Pose = Partial<Record<Turn | 'x' | 'height', number | null>>;

export interface SceneForm {
  prompt: string;
  caption: string;
  dialogue: Line[];
  shot: string;
  camera: string;
  notes: string;
  seconds: number | null;
  negative: string;
  shape: string;
  wears: Record<string, string>;
  pose: Record<string, Pose>;
}

const texts = ['prompt', 'caption', 'shot', 'camera', 'notes', 'negative'] as const;

/** Whether the pose is a picture's or another scene's, which the form leaves as it is. */
export const poseElsewhere = (frame: Frame) => ['file', 'from'].some((key) => key in ((frame.written.pose as object) ?? {}));

/** The names in braces, in order. */
export const namesIn = (prompt: string) => [...new Set([...prompt.matchAll(/\{([^{}]+)\}/g)].map((m) => m[1] ?? ''))];

/** Poses by name, however they are written. */
function poses(frame: Frame): Record<string, Pose> {
  const written = frame.written.pose as Pose | Record<string, Pose> | undefined;
  if (!written || poseElsewhere(frame)) return {};
  const one = !Object.values(written).some((value) => typeof value === 'object');
  return one ? { [frame.cast[0] ?? '']: { ...written } as Pose } : structuredClone(written as Record<string, Pose>);
}

/** The form of a frame's scene as it is written in the story. */
export function formOf(frame: Frame): SceneForm {
  const w = frame.written as Record<string, any>;
  const size = Array.isArray(w.size) ? w.size.join('x') : w.size;
  return {
    prompt: w.prompt ?? frame.text,
    caption: w.caption ?? '',
    dialogue: (w.dialogue ?? []).map((line: Line) => ({ ...line })),
    shot: w.shot ?? '',
    camera: w.camera ?? '',
    notes: w.notes ?? '',
    seconds: w.seconds ?? null,
    negative: w.negative ?? '',
    shape: size ?? w.aspect ?? '',
    wears: { ...w.wears },
    pose: poses(frame),
  };
}

/** What the server is to set; a key without a value is taken out. */
export function sceneChanges(before: SceneForm, now: SceneForm): Change {
  const set: Change = {};
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  for (const key of texts) if (now[key] !== before[key]) set[key] = now[key] || null;
  if (now.shape !== before.shape) {
    set.size = now.shape && !now.shape.includes(':') ? now.shape : null;
    set.aspect = now.shape.includes(':') ? now.shape : null;
  }
  if (now.seconds !== before.seconds) set.seconds = now.seconds || null;
  const lines = (form: SceneForm) => form.dialogue.filter((line) => line.says.trim());
  if (!same(lines(now), lines(before))) set.dialogue = lines(now).length ? lines(now).map((line) => ({ ...line })) : null;
  const there = namesIn(now.prompt);
  const worn = (form: SceneForm) => entries(form.wears, (said) => said.trim() !== '', there);
  if (!same(worn(now), worn(before))) set.wears = orNull(worn(now));
  const held = (form: SceneForm) =>
    entries(form.pose, (pose) => Object.values(pose).some((v) => v !== null && v !== undefined), there, plainPose);
  if (!same(held(now), held(before))) set.pose = orNull(held(now));
  return set;
}

const plainPose = (pose: Pose) => Object.fromEntries(Object.entries(pose).filter(([, v]) => v !== null && v !== undefined));

/** What is said of those who are there, by name. */
function entries<T>(all: Record<string, T>, says: (one: T) => boolean, there: string[], plain: (one: T) => unknown = (one) => one) {
  const some = Object.entries(all).filter(([name, one]) => there.includes(name) && says(one));
  return Object.fromEntries(some.sort(([a], [b]) => a.localeCompare(b)).map(([name, one]) => [name, plain(one)]));
}

const orNull = (all: Record<string, unknown>) => (Object.keys(all).length ? all : null);
