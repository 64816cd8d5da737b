// Which language the page speaks: the reader's choice, else the browser's.

export type Language = 'en' | 'zh-CN';
export const LANGUAGES: readonly Language[] = ['en', 'zh-CN'];

const KEY = 'language';

/** The language of this page, from its load to its end. */
export const language: Language = chosen() ?? preferred();

/** Remembers the choice and loads the page anew in it; the address keeps what is shown. */
export function speak(next: Language): void {
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Storage may be blocked; the browser's language stays then.
  }
  location.reload();
}

function chosen(): Language | undefined {
  try {
    return LANGUAGES.find((name) => name === localStorage.getItem(KEY));
  } catch {
    return undefined;
  }
}

function preferred(): Language {
  if (typeof navigator === 'undefined') return 'en';
  const first = navigator.languages.find((name) => /^(en|zh)\b/i.test(name));
  return first !== undefined && /^zh/i.test(first) ? 'zh-CN' : 'en';
}
