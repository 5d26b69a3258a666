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

export interface Frame {
  index: number;
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
}

export interface Person {
  name: string;
  description: string;
  noun: string;
  wears: string;
  words_only: boolean;
  state: State;
  why: string;
  portraits: string | null;
  kept: number;
  of: number;
}

export interface Cost {
  frames: number[];
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

/** A character of the user's library. */
export interface Kept {
  id?: string;
  name: string;
  description: string;
  picture?: string | null;
}

export type Change = Record<string, string | null>;

export type Edit =
  | { do: 'order'; scenes: number[] }
  | { do: 'scene'; index: number; set: Change }
  | { do: 'add'; index: number; set: Change }
  | { do: 'remove'; index: number }
  | { do: 'character'; name: string; set: Change }
  | { do: 'person'; set: Change }
  | { do: 'story'; set: Change };
