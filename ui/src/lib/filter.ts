// Which rows the reader wants to see: free words, failures only, one session.
import type { Row, SessionId } from './protocol';

/** A filter; the default lets everything pass. */
export interface Filter {
  /** What the reader typed: every word must occur somewhere in the row. */
  text: string;
  /** Only failures. */
  errors: boolean;
  /** Only this session. */
  session: SessionId | null;
}

export const NO_FILTER: Filter = { text: '', errors: false, session: null };

/** The words of a text, lower case. */
export function wordsOf(text: string): string[] {
  return text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
}

/** Whether the filter lets everything pass. */
export function isEmpty(filter: Filter): boolean {
  return !filter.errors && filter.session === null && wordsOf(filter.text).length === 0;
}

/** The test of one row. */
export function matcher(filter: Filter): (row: Row) => boolean {
  const words = wordsOf(filter.text);
  const { errors, session } = filter;
  return (row) => {
    if (errors && !row.is_error) return false;
    if (session !== null && row.session_id !== session) return false;
    if (words.length === 0) return true;
    const text = textOf(row);
    return words.every((word) => text.includes(word));
  };
}

/** Whether everything that `next` lets pass also passes `old`, so that only rows already shown need a test. */
export function narrows(next: Filter, old: Filter): boolean {
  if (old.errors && !next.errors) return false;
  if (old.session !== null && next.session !== old.session) return false;
  const words = wordsOf(next.text);
  return wordsOf(old.text).every((part) => words.some((word) => word.includes(part)));
}

function textOf(row: Row): string {
  // The line breaks keep a word from matching across two fields.
  return [
    row.summary,
    row.kind,
    row.tool_name,
    row.session_id,
    row.project,
    row.agent_type,
    row.agent_id,
    row.tool_use_id,
  ]
    .join('\n')
    .toLowerCase();
}
