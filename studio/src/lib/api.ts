/** One function for every request; what fails is a `Refused` with the server's own sentence. */
import { t } from '../texts';
import type { Checked, Cost, Edit, Imported, Job, Kept, Listed, Look, Options, Settings, Several, Story, Take } from './types';

export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const raw = body instanceof Blob;
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = raw ? 'application/octet-stream' : 'application/json';
  let answer: Response;
  try {
    answer = await fetch(`/api${path}`, { method, headers, body: raw ? body : JSON.stringify(body) });
  } catch {
    throw new Refused(0, 'away', t.away);
  }
  const value = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.ok) return value as T;
  throw new Refused(answer.status, value?.error?.code ?? '', value?.error?.message ?? t.failedWith(answer.status));
}

type Known = Pick<Story, 'id' | 'revision'>;

const post = <T>(story: Known, verb: string, body: object = {}) =>
  ask<T>('POST', `/stories/${story.id}/${verb}`, { revision: story.revision, ...body });

const character = (name: string) => `/characters/${encodeURIComponent(name)}`;

export const api = {
  session: () => ask<{ open: boolean }>('GET', '/session'),
  login: (token: string) => ask<null>('POST', '/session', { token }),
  options: () => ask<Options>('GET', '/options'),
  tourDone: () => ask<null>('POST', '/tour/done', {}),

  stories: () => ask<{ stories: Listed[] }>('GET', '/stories'),
  story: (id: string) => ask<Story>('GET', `/stories/${id}`),
  create: (title: string) => ask<Story>('POST', '/stories', title ? { title } : {}),
  remove: (id: string) => ask<null>('DELETE', `/stories/${id}`),
  restore: (id: string) => ask<Story>('POST', `/stories/${id}/restore`, {}),
  importFile: (file: File) => ask<Imported>('POST', `/import?name=${encodeURIComponent(file.name)}`, file),
  read: (text: string, story?: string) => ask<Checked>('POST', '/check', { text, story }),
  write: (story: Known, text: string) =>
    ask<Story>('PUT', `/stories/${story.id}/text`, { text, revision: story.revision }),
  edit: (story: Known, edits: Edit[]) => post<Story>(story, 'edit', { edits }),
  settings: (id: string, settings: Settings) => ask<Story>('PUT', `/stories/${id}/settings`, settings),

  cost: (story: Known, of: { only?: number[]; reroll?: number; text?: string; edits?: Edit[] }) =>
    post<Cost>(story, 'cost', of),
  paint: (story: Known, of: { only?: number[]; cast_only?: boolean } = {}) => post<Job>(story, 'paint', of),
  reroll: (story: Known, of: { indexes: number[]; count?: number; seeds?: number[] }) =>
    post<Job>(story, 'reroll', of),
  find: (story: Known, name: string) => post<Job>(story, 'find', { name }),
  candidates: (story: Known, of: Several) => post<Job>(story, 'candidates', of),
  candidatesCost: (story: Known, of: Several) => post<Cost>(story, 'candidates/cost', of),
  take: (story: Known, name: string, number: number, kin: string) => post<Job>(story, 'take', { name, number, kin }),
  check: (story: Known) => post<Job>(story, 'check'),
  takes: (id: string, index: number) => ask<{ takes: Take[] }>('GET', `/stories/${id}/scenes/${index}/takes`),
  choose: (story: Known, index: number, picture: string) => post<Story>(story, `scenes/${index}/choose`, { picture }),
  lock: (story: Known, index: number, locked: boolean) => post<Story>(story, `scenes/${index}/lock`, { locked }),

  queue: () => ask<{ jobs: Job[] }>('GET', '/queue'),
  order: (order: number[]) => ask<{ jobs: Job[] }>('PUT', '/queue', { order }),
  cancel: (job: number) => ask<Job>('POST', `/jobs/${job}/cancel`, {}),
  again: (job: number) => ask<Job>('POST', `/jobs/${job}/again`, {}),

  library: () => ask<{ characters: Kept[] }>('GET', '/characters'),
  cast: (story: Known, of: { character: string | null; name?: string; look?: string }) => post<Story>(story, 'cast', of),
  keep: (story: Known, name: string, called: string) => post<Job>(story, 'keep', { name, called }),
  importPerson: (file: File) => ask<Kept>('POST', '/characters/import', file),
  rename: (name: string, to: string) => ask<Kept>('POST', `${character(name)}/rename`, { to }),
  look: (name: string, look: string, of: Partial<Look>) => ask<Kept>('POST', `${character(name)}/look`, { look, ...of }),
  withdraw: (name: string) => ask<{ character: Kept; stories: string[] }>('POST', `${character(name)}/withdraw`, {}),
  removePerson: (name: string) => ask<null>('DELETE', character(name)),
  restorePerson: (name: string) => ask<Kept>('POST', `${character(name)}/restore`, {}),
};

export type Kind = 'frame' | 'template' | 'masks' | 'portraits';

/** The address of a picture: 0 is the file itself. */
export const picture = (story: string, key: string, width: 0 | 160 | 320 | 640 = 0, kind: Kind = 'frame') =>
  `/api/stories/${story}/pictures/${key}?kind=${kind}&width=${width}`;

/** The addresses of somebody of the library: a portrait, and their file. */
export const portrait = (name: string, index: number, width: 0 | 160 | 320 | 640 = 160) =>
  `/api${character(name)}/portraits/${index}?width=${width}`;
export const characterFile = (name: string) => `/api${character(name)}/file`;

export const preview = (job: number, n: number) => `/api/jobs/${job}/preview?n=${n}`;

export const exportPath = (story: string, kind: string) => `/api/stories/${story}/export/${kind}`;

/** What of a form has changed: empty text takes a key out. */
export function changes<T extends Record<string, string>>(before: T, now: T): Record<string, string | null> {
  const set: Record<string, string | null> = {};
  for (const key of Object.keys(now)) if (now[key] !== before[key]) set[key] = now[key] || null;
  return set;
}
