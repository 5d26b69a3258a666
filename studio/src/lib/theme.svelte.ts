/** Light, dark, or as the system has it; kept in this browser. */
const order = ['system', 'light', 'dark'] as const;
type Choice = (typeof order)[number];

const system = matchMedia('(prefers-color-scheme: dark)');

class Theme {
  choice = $state<Choice>(order.find((c) => c === localStorage.getItem('theme')) ?? 'system');
  #system = $state(system.matches);
  dark = $derived(this.choice === 'dark' || (this.choice === 'system' && this.#system));

  constructor() {
    system.addEventListener('change', () => (this.#system = system.matches));
    this.#show();
  }

  next() {
    this.choice = order[(order.indexOf(this.choice) + 1) % order.length] ?? 'system';
    localStorage.setItem('theme', this.choice);
    this.#show();
  }

  #show() {
    if (this.choice === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.choice;
  }
}

export const theme = new Theme();
