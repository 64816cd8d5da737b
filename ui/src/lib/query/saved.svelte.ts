// Queries that the reader keeps, in this browser.

export interface SavedQuery {
  name: string;
  text: string;
}

const KEY = 'saved-queries';
/** More would be a list to search, not one to choose from. */
const SAVED_MAX = 50;

export class Saved {
  #list = $state.raw<readonly SavedQuery[]>(stored());

  get list(): readonly SavedQuery[] {
    return this.#list;
  }

  find(text: string): SavedQuery | undefined {
    return this.#list.find((saved) => saved.text === text.trim());
  }

  /** Keeps the query; one with the same text takes the new name. */
  save(name: string, text: string): void {
    const others = this.#list.filter((saved) => saved.text !== text.trim());
    this.#keep([...others, { name: name.trim() || text.trim(), text: text.trim() }].slice(-SAVED_MAX));
  }

  remove(text: string): void {
    this.#keep(this.#list.filter((saved) => saved.text !== text));
  }

  #keep(list: readonly SavedQuery[]): void {
    this.#list = list;
    try {
      localStorage.setItem(KEY, JSON.stringify(list));
    } catch {
      // Storage may be blocked or full; the list then lasts as long as the page.
    }
  }
}

function stored(): SavedQuery[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(list) ? list.filter(isSaved) : [];
  } catch {
    return [];
  }
}

function isSaved(value: unknown): value is SavedQuery {
  if (typeof value !== 'object' || value === null) return false;
  const { name, text } = value as Partial<SavedQuery>;
  return typeof name === 'string' && typeof text === 'string';
}
