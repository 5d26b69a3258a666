/** What the server sends and takes: the contract of the studio's API, as far as the page uses it. */

export interface Problem {
  message: string;
  line: number | null;
  column: number | null;
}

export type State = 'empty' | 'queued' | 'painting' | 'failed' | 'stale' | 'missing' | 'locked' | 'current';

export interface Scores {
  same_person: number | null;
  words: number | null;
  faces: number | null;
}

/** What a check found in a picture. */
export interface Check {
  suspicion: number;
  marks: Record<string, string>;
  likeness: Record<string, number | null>;
  faults: string[];
}

/** A line that a scene expects of its picture; `holds` is null where nobody can tell. */
export interface Expected {
  line: string;
  holds: boolean | null;
  read: string;
}

/** A table of the story file, as it is written there. */
export type Written = Record<string, unknown>;

export interface Frame {
  index: number;
  written: Written;
  text: string;
  prompt: string;
  caption: string;
  dialogue: [string, string][];
  cast: string[];
  id: string;
  negative: string;
  shape: string;
  seed: number;
  state: State;
  why: string;
  locked: boolean;
  picture: string | null;
  width: number;
  height: number;
  template: boolean;
  takes: number;
  absent: string[];
  scores: Scores | null;
  check: Check | null;
  /** How many people were seen, where that is not who was meant. */
  people: number | null;
  expected: Expected[];
}

export interface Person {
  name: string;
  description: string;
  noun: string;
  wears: string;
  words_only: boolean;
  /** Of the search for the face; 0 is the story's. */
  seed: number;
  state: State;
  why: string;
  /** Whose face of the library it is, and in which look; empty is nobody's. */
  cast: string;
  look: string;
  portraits: string | null;
  kept: number;
  of: number;
  /** Every face that was found for these words. */
  takes: Face[];
  /** Several people of these words, those of one kin together, and the number of who was taken; 0 is none. */
  candidates: Candidate[];
  candidate: number;
}

export interface Face {
  portraits: string;
  kept: number;
  of: number;
  seed: number;
  chosen: boolean;
}

/** A relative has a `kin`, which tells them from others of that number, and says what they are to whom of the library. */
export interface Candidate {
  number: number;
  kin: string;
  relation: string;
  /** Names; an empty one is somebody who is not there any more. */
  like: string[];
  description: string;
  pictures: string[];
  chosen: boolean;
}

/** Several people of somebody's words; relatives, where `like` names people of the library and `as` what they are. */
export interface Several {
  name: string;
  count: number;
  like?: string[];
  as?: string;
}

export interface Cost {
  frames: number[];
  /** Of each of them why it would be painted: reasons, each after a semicolon. */
  why: string[];
  characters: string[];
  calls: number;
  seconds: number | null;
}

export interface Settings {
  preset: string | null;
  method: string | null;
  model: string | null;
  steps: number | null;
  portraits: number | null;
  guidance: number | null;
}

export interface Story {
  id: string;
  title: string;
  text: string;
  written: Written;
  revision: string | number;
  problem: Problem | null;
  advice: string[];
  settings: Settings;
  seed: number;
  at: number;
  busy: number | null;
  frames: Frame[];
  characters: Person[];
  cost: Cost;
}

export interface Listed {
  id: string;
  title: string;
  frames: number;
  painted: number;
  picture: string | null;
  changed: string;
  busy: boolean;
}

export interface Live {
  job: number;
  story: string;
  part: string;
  calls: number;
  total: number;
  seconds_left: number | null;
  preview: number | null;
}

export interface Job {
  id: number;
  story: string;
  title: string;
  kind: string;
  state: 'pending' | 'running' | 'done' | 'failed' | 'cancelled';
  what: string;
  /** Who is looked for, or kept; empty for pictures. */
  person: string;
  message: string;
  device: string;
  live: Live | null;
}

export interface Take {
  number: number;
  picture: string;
  seed: number;
  chosen: boolean;
  words: string;
  same_words: boolean;
  scores: Scores | null;
}

export interface Checked {
  problem: Problem | null;
  advice: string[];
}

export interface Options {
  version: string;
  presets: string[];
  methods: string[];
  models: string[];
  exports: { kind: string; there: boolean }[];
  tour: boolean;
}

export interface Imported {
  story: Story;
  told: string[];
  fill_in: string[];
}

export interface Look {
  wears: string;
  description: string;
}

/** A character of the user's library: `name` is the library's, `called` their own. */
export interface Kept {
  name: string;
  called: string;
  description: string;
  noun: string;
  looks: Record<string, Look>;
  portraits: number;
  model: string;
  licence: string;
  commercial: boolean;
  consent: { by: string; purpose: string; given: string; until: string; ended: string | null } | null;
  usable: boolean;
  why: string;
  sha256: string;
}

/** Keys to set; null takes one out. */
export type Change = Record<string, unknown>;

export type Edit =
  | { do: 'order'; scenes: number[] }
  | { do: 'scene'; index: number; set: Change }
  | { do: 'add'; index: number; set: Change }
  | { do: 'remove'; index: number }
  | { do: 'character'; name: string; set: Change | { seed: number | null } }
  | { do: 'person'; set: Change }
  | { do: 'dismiss'; name: string }
  | { do: 'story'; set: Change };
