/** The user's library of people: who is in it, and what is done there; no story is needed for it. */
import { t } from '../texts';
import { api } from './api';
import { studio } from './studio.svelte';
import type { Kept, Look } from './types';

const MOST = 64 * 1024 * 1024;

class Library {
  people = $state.raw<Kept[]>([]);

  of(name: string): Kept | undefined {
    return this.people.find((one) => one.name === name);
  }

  async load() {
    const found = await studio.try(() => api.library());
    if (found) this.people = found.characters;
  }

  /** Do something to the library, and show what it is afterwards; true if it was done. */
  async #change<T>(work: () => Promise<T>): Promise<T | undefined> {
    const made = await studio.try(work);
    if (made === undefined) return undefined;
    await Promise.all([this.load(), studio.reload()]);
    return made;
  }

  async bring(file: File) {
    if (file.size > MOST) return studio.note(t.fileTooLarge, true);
    studio.view = 'cast';
    const made = await this.#change(() => api.importPerson(file));
    if (made) studio.note(t.imported(made.name));
  }

  rename = (name: string, to: string) => this.#change(() => api.rename(name, to));

  look = (name: string, look: string, of: Partial<Look> = {}) => this.#change(() => api.look(name, look, of));

  /** For good: nothing brings a face back whose consent is withdrawn. */
  async withdraw(name: string) {
    const made = await this.#change(() => api.withdraw(name));
    if (made) studio.note(t.withdrawn(name, made.stories.length));
  }

  async remove(name: string) {
    if ((await this.#change(() => api.removePerson(name))) === undefined) return;
    const back = () => void this.#change(() => api.restorePerson(name));
    studio.note(t.personRemoved(name), false, { name: t.undo, do: back });
  }
}

export const library = new Library();
