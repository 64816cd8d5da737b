// Light, dark, as the system has it, or high contrast: remembered, and applied to the document.

export const THEMES = ['system', 'light', 'dark', 'contrast'] as const;
export type ThemeName = (typeof THEMES)[number];

const KEY = 'theme';

export class Theme {
  #name = $state<ThemeName>(stored());

  get name(): ThemeName {
    return this.#name;
  }

  set(name: ThemeName): void {
    this.#name = name;
    if (name === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = name;
    try {
      localStorage.setItem(KEY, name);
    } catch {
      // Storage may be blocked; the choice then lasts as long as the page.
    }
  }

  /** The next one in the order of `THEMES`. */
  next(): void {
    this.set(THEMES[(THEMES.indexOf(this.#name) + 1) % THEMES.length] ?? 'system');
  }
}

function stored(): ThemeName {
  try {
    return THEMES.find((name) => name === localStorage.getItem(KEY)) ?? 'system';
  } catch {
    return 'system';
  }
}
