/** What is typed and not saved: it outlives the pane that it was typed into, until it is saved or discarded. */
import { untrack } from 'svelte';
import { SvelteMap } from 'svelte/reactivity';
import { changes } from './api';
import { formOf, moves, names, sceneChanges } from './scene';
import type { Change, Person, Story } from './types';

/** Texts of whole stories, by the story; `base` is the text that each began from. */
export const texts = new SvelteMap<string, { text: string; base: string }>();
/** Of each form what is not as the story has it. */
const forms = new Map<string, object>();

export const sceneKey = (story: string, name: string) => `${story} scene ${name}`;
export const personKey = (story: string, name: string) => `${story} person ${name}`;

/** What a character's form has. */
export const saidOf = (p: Person) => ({ description: p.description, noun: p.noun, wears: p.wears });

const over = <T extends object>(key: string, said: T): T => structuredClone({ ...said, ...forms.get(key) });
const isEmpty = (set: object) => !Object.keys(set).length;

/** A form over what the story says, `said`: `changes` tells what of it is to be written. */
export function draft<T extends object>(key: () => string, said: () => T, changes: (said: T, form: T) => Change) {
  let form = $state(untrack(() => over(key(), said())));
  const changed = $derived(changes(said(), form));
  const dirty = $derived(!isEmpty(changed));
  let saving = $state(false);
  $effect.pre(() => {
    form = over(key(), said());
  });
  $effect(() => {
    const now = Object.entries($state.snapshot(form) as T);
    const typed = now.filter(([one, value]) => JSON.stringify(value) !== JSON.stringify(said()[one as keyof T]));
    if (dirty) forms.set(key(), Object.fromEntries(typed));
    else forms.delete(key());
  });
  return {
    get form() {
      return form;
    },
    set form(value) {
      form = value;
    },
    get changed() {
      return changed;
    },
    get dirty() {
      return dirty;
    },
    get saving() {
      return saving;
    },
    /** What `write` answers; one thing is saved at a time. */
    async save<R>(write: (set: Change) => Promise<R>): Promise<R | undefined> {
      if (saving || !dirty) return undefined;
      saving = true;
      try {
        return await write(changed);
      } finally {
        saving = false;
      }
    },
    discard: () => (form = structuredClone(said())),
  };
}

/** Drafts go with their frames into what became of a story, and what it says now is none any more. */
export function follow(before: Story, now: Story) {
  if (texts.get(now.id)?.text === now.text) texts.delete(now.id);
  if (!forms.size) return;
  const place = moves(before.frames, now.frames);
  const next = names(now.frames);
  const moved = names(before.frames).flatMap((name, i): [string, object][] => {
    const key = sceneKey(before.id, name);
    const typed = forms.get(key);
    forms.delete(key);
    // What was typed of a frame that is gone waits for it to be brought back.
    return typed ? [[sceneKey(now.id, next[place(i)] ?? name), typed]] : [];
  });
  for (const [key, typed] of moved) forms.set(key, typed);
  now.frames.forEach((f, i) => settle(sceneKey(now.id, next[i] ?? ''), formOf(f), sceneChanges));
  now.characters.forEach((p) => settle(personKey(now.id, p.name), saidOf(p), changes));
}

function settle<T extends object>(key: string, said: T, changes: (said: T, form: T) => Change) {
  if (forms.has(key) && isEmpty(changes(said, over(key, said)))) forms.delete(key);
}

/** Whether something is typed and not saved in one of these stories. */
export function unsaved(stories: string[]): boolean {
  return [...texts.keys(), ...forms.keys()].some((key) => stories.includes(key.split(' ')[0] ?? ''));
}
