/** The keys: one table, which the page obeys and the help shows. */
import { t } from '../texts';
import { lock, moveBy, paint, removeScenes, reroll } from './actions';
import { studio } from './studio.svelte';
import { redo, undo } from './turns';

interface Key {
  /** As it is written in the help. */
  shown: string[];
  says: string;
  /** Whether an event is this key. */
  is: (e: KeyboardEvent) => boolean;
  does: (e: KeyboardEvent) => void;
  /** Works while somebody writes. */
  writing?: boolean;
  /** Is for the frames: only where the board is shown; `focus` also asks that the focus is there. */
  board?: boolean | 'focus';
}

const plain = (e: KeyboardEvent) => !e.ctrlKey && !e.metaKey && !e.altKey;
const letter = (key: string) => (e: KeyboardEvent) => plain(e) && letters.on && e.key.toLowerCase() === key;
const command = (key: string, shift = false) => (e: KeyboardEvent) =>
  (e.ctrlKey || e.metaKey) && !e.altKey && e.shiftKey === shift && e.key.toLowerCase() === key;

/** Whether single letters are keys: some who speak to their computer want them off. */
export const letters = {
  get on() {
    return localStorage.getItem('letters') !== 'off';
  },
  set on(value: boolean) {
    localStorage.setItem('letters', value ? 'on' : 'off');
  },
};

/** How far an arrow goes on the board: a row is as long as the screen makes it. */
function step(e: KeyboardEvent): number {
  const cards = [...document.querySelectorAll<HTMLElement>('[role=option]')];
  const top = cards[0]?.offsetTop;
  const row = Math.max(1, cards.findIndex((c) => c.offsetTop !== top));
  const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row };
  return steps[e.key] ?? (e.key === 'Home' ? -Infinity : Infinity);
}

export function go(by: number, range = false) {
  const order = studio.shown.map((f) => f.index);
  const at = Math.max(0, order.indexOf(studio.cursor));
  const index = order[Math.max(0, Math.min(order.length - 1, at + by))];
  if (index === undefined) return;
  studio.select(index, range ? 'range' : 'one');
  document.querySelector<HTMLElement>(`[data-index="${index}"]`)?.focus();
}

const openSide = (side: 'frame' | 'queue') => (studio.side = studio.side === side ? 'none' : side);

function focusOn(selector: string) {
  requestAnimationFrame(() => document.querySelector<HTMLElement>(selector)?.focus());
}

export const keys: Key[] = [
  {
    shown: ['←', '→', '↑', '↓'],
    says: t.key.arrows,
    board: 'focus',
    is: (e) => plain(e) && /^(Arrow|Home|End)/.test(e.key),
    does: (e) => go(step(e), e.shiftKey),
  },
  { shown: ['Shift', '→'], says: t.key.range, is: () => false, does: () => {} },
  {
    shown: ['Ctrl', 'A'],
    says: t.key.all,
    board: 'focus',
    is: command('a'),
    does: () => (studio.chosen = new Set(studio.shown.map((f) => f.index))),
  },
  {
    shown: ['Alt', '→'],
    says: t.key.move,
    board: 'focus',
    is: (e) => e.altKey && !e.ctrlKey && /^Arrow(Left|Right|Up|Down)$/.test(e.key),
    does: (e) => moveBy(/Left|Up/.test(e.key) ? -1 : 1),
  },
  { shown: ['R'], says: t.key.reroll, board: true, is: letter('r'), does: () => void reroll() },
  { shown: ['L'], says: t.key.lock, board: true, is: letter('l'), does: () => void lock() },
  { shown: ['C'], says: t.key.compare, board: true, is: letter('c'), does: () => (studio.window = 'compare') },
  {
    shown: ['Enter'],
    says: t.key.open,
    board: true,
    is: (e) => plain(e) && e.key === 'Enter' && (e.target as HTMLElement).matches('[role=option]'),
    does: () => (studio.window = 'large'),
  },
  {
    shown: ['E'],
    says: t.key.edit,
    board: true,
    is: letter('e'),
    does: () => {
      studio.side = 'frame';
      focusOn('#words');
    },
  },
  {
    shown: ['Delete'],
    says: t.key.remove,
    board: 'focus',
    is: (e) => plain(e) && e.key === 'Delete',
    does: () => void removeScenes(),
  },
  { shown: ['P'], says: t.key.paint, is: letter('p'), does: () => void paint() },
  { shown: ['/'], says: t.key.search, is: letter('/'), does: () => ((studio.view = 'board'), focusOn('#search')) },
  { shown: ['1'], says: t.key.board, is: letter('1'), does: () => (studio.view = 'board') },
  { shown: ['2'], says: t.key.cast, is: letter('2'), does: () => (studio.view = 'cast') },
  {
    shown: ['3'],
    says: t.key.text,
    is: letter('3'),
    does: () => {
      studio.writing = !studio.writing;
      if (studio.writing) focusOn('#text');
    },
  },
  { shown: ['Q'], says: t.key.queue, is: letter('q'), does: () => openSide('queue') },
  { shown: ['Ctrl', 'Z'], says: t.key.undo, is: command('z'), does: () => void undo() },
  {
    shown: ['Ctrl', 'Shift', 'Z'],
    says: t.key.redo,
    is: (e) => command('z', true)(e) || command('y')(e),
    does: () => void redo(),
  },
  { shown: ['Ctrl', 'S'], says: t.key.save, is: () => false, does: () => {} },
  { shown: ['?'], says: t.key.help, is: letter('?'), does: () => (studio.window = 'help') },
  {
    shown: ['Esc'],
    says: t.key.leave,
    writing: true,
    is: (e) => e.key === 'Escape',
    does: (e) => {
      const inside = (e.target as HTMLElement).closest('aside, .writing, #search');
      if (studio.query && (e.target as HTMLElement).id === 'search') studio.query = '';
      else if (inside || studio.side !== 'none') studio.side = 'none';
      else studio.chosen = new Set();
      document.querySelector<HTMLElement>('[role=option][tabindex="0"]')?.focus();
    },
  },
];

/** Obey a key, unless somebody writes or a window is open; one that is held down counts once, but for the arrows. */
export function press(e: KeyboardEvent) {
  if (e.defaultPrevented || e.isComposing || studio.window !== 'none' || document.querySelector('.menu:popover-open')) return;
  const target = e.target as HTMLElement;
  const writes = target.matches('textarea, select, input:not([type=range], [type=checkbox], [type=radio])');
  const steers = target.matches('[type=range], [type=radio]') && /^Arrow|Home|End/.test(e.key);
  for (const key of keys) {
    if (!key.is(e) || ((writes || steers) && !key.writing)) continue;
    if (key.board && (studio.view !== 'board' || !studio.story)) continue;
    if (key.board === 'focus' && !target.matches('body, [role=listbox], [role=option]')) continue;
    e.preventDefault();
    if (!e.repeat || e.key.startsWith('Arrow')) key.does(e);
    return;
  }
}
