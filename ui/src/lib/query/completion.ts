// What the query field offers while one types.
import type { Facets } from './facets';
import { FIELDS, STATUSES, type Field } from './query';

/** One line of the offer. */
export interface Offer {
  /** What stands in place of the last term. */
  term: string;
  label: string;
  hint: string;
  /** The term is complete, or goes on with a value. */
  complete: boolean;
}

const DURATIONS = ['>1s', '>5s', '>30s', '>2m', '<100ms'];
const OFFERS_MAX = 12;

/** What fits the last term of the draft. */
export function offersFor(
  draft: string,
  facets: Facets | undefined,
  hints: Readonly<Record<Field, string>>,
): Offer[] {
  const term = lastTerm(draft);
  const parts = /^(-?)([a-z]+):(.*)$/i.exec(term);
  const field = FIELDS.find((name) => name === parts?.[2]?.toLowerCase());
  if (parts === null || field === undefined) return fieldOffers(term, hints);
  const before = parts[3]?.split(',') ?? [];
  const typed = (before.pop() ?? '').replaceAll('"', '').toLowerCase();
  const head = `${parts[1]}${field}:${before.map((value) => `${value},`).join('')}`;
  return valuesOf(field, facets)
    .filter(({ value, hint }) => `${value}\n${hint}`.toLowerCase().includes(typed))
    .slice(0, OFFERS_MAX)
    .map(({ value, hint }) => ({
      term: head + (/[\s,]/.test(value) ? `"${value}"` : value),
      label: value,
      hint,
      complete: true,
    }));
}

/** The draft with the last term replaced by the offer. */
export function accept(draft: string, { term, complete }: Offer): string {
  return `${draft.slice(0, draft.length - lastTerm(draft).length)}${term}${complete ? ' ' : ''}`;
}

/** The term that is being typed; empty after a space. */
export function lastTerm(draft: string): string {
  return /(?:"[^"]*"?|[^\s"])*$/.exec(draft)?.[0] ?? '';
}

function fieldOffers(term: string, hints: Readonly<Record<Field, string>>): Offer[] {
  const [, minus = '', typed = ''] = /^(-?)(.*)$/.exec(term) ?? [];
  return FIELDS.filter((field) => field.startsWith(typed.toLowerCase())).map((field) => ({
    term: `${minus}${field}:`,
    label: `${field}:`,
    hint: hints[field],
    complete: false,
  }));
}

function valuesOf(field: Field, facets: Facets | undefined): { value: string; hint: string }[] {
  if (field === 'dur') return DURATIONS.map((value) => ({ value, hint: '' }));
  if (field === 'status') return STATUSES.map((value) => ({ value, hint: '' }));
  if (field === 'id') return [];
  const found = facets?.[field] ?? [];
  return found.map(({ value, hint, count }) => ({ value, hint: hint ?? String(count) }));
}
