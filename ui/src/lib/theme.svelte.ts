// Light, dark or as the system has it: remembered, and applied to the document.

export type ThemeName = 'system' | 'light' | 'dark';

const KEY = 'theme';
export const THEMES: readonly ThemeName[] = ['system', 'light', 'dark'];

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
}

function stored(): ThemeName {
  try {
    return THEMES.find((name) => name === localStorage.getItem(KEY)) ?? 'system';
  } catch {
    return 'system';
  }
}
