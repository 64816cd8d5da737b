// What was found as a file: one event a line of JSON, a table, or a page to read.
import { fetchRows, fetchWhole } from '../link/api';
import type { Wanted } from '../model/history.svelte';
import type { Row } from '../protocol';
import { texts } from '../show/texts';

export const FORMATS = ['jsonl', 'csv', 'html'] as const;
export type Format = (typeof FORMATS)[number];

/** More is work for the command line, which streams to disk. */
export const EXPORT_EVENTS_MAX = 50_000;
const PAGE_ROWS = 500;

export interface Exported {
  blob: Blob;
  events: number;
  /** Whether there are more events than may be exported. */
  cut: boolean;
}

/** Collects the file, the newest events first asked for, the oldest first in the file. */
export async function exportEvents(
  wanted: Wanted,
  format: Format,
  masked: boolean,
  onprogress: (events: number) => void,
  signal: AbortSignal,
): Promise<Exported> {
  const pages: string[] = [];
  let events = 0;
  let before: number | undefined;
  let more = true;
  while (more && events < EXPORT_EVENTS_MAX) {
    const query = { ...wanted, masked, limit: PAGE_ROWS, ...(before === undefined ? {} : { before }) };
    const page = format === 'jsonl' ? await fetchWhole(query, signal) : await fetchRows(query, signal);
    const [first] = page.events;
    if (first === undefined) {
      more = false;
      break;
    }
    pages.unshift(page.events.map(lineOf[format]).join(''));
    events += page.events.length;
    before = first.seq;
    more = page.has_more;
    onprogress(events);
  }
  const [head, foot] = frames[format];
  return { blob: new Blob([head(), ...pages, foot], { type: types[format] }), events, cut: more };
}

const types: Record<Format, string> = {
  jsonl: 'application/x-ndjson',
  csv: 'text/csv;charset=utf-8',
  html: 'text/html;charset=utf-8',
};

const COLUMNS = [
  'seq',
  'occurred_at',
  'kind',
  'session_id',
  'project',
  'agent_type',
  'tool_name',
  'duration_ms',
  'is_error',
  'summary',
] as const;

function cells(row: Row): string[] {
  return COLUMNS.map((column) =>
    column === 'occurred_at' ? new Date(row.occurred_at).toISOString() : String(row[column] ?? ''),
  );
}

const lineOf: Record<Format, (row: Row) => string> = {
  jsonl: (row) => `${JSON.stringify(row)}\n`,
  csv: (row) => `${cells(row).map(csvCell).join(',')}\r\n`,
  html: (row) =>
    `<tr${row.is_error ? ' class="bad"' : ''}>${cells(row)
      .map((cell) => `<td>${escapeHtml(cell)}</td>`)
      .join('')}</tr>\n`,
};

/** A cell that a spreadsheet would take for a formula is text. */
export function csvCell(value: string): string {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function escapeHtml(text: string): string {
  const names: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => names[character] ?? character);
}

const frames: Record<Format, [() => string, string]> = {
  jsonl: [() => '', ''],
  csv: [() => `\ufeff${COLUMNS.join(',')}\r\n`, ''],
  html: [
    () =>
      `<!doctype html><meta charset="utf-8"><title>${escapeHtml(texts.product)}</title>` +
      '<style>body{font:13px system-ui;margin:24px}table{border-collapse:collapse}' +
      'td,th{padding:3px 8px;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}' +
      '.bad{background:#fdeeec}</style>' +
      `<h1>${escapeHtml(texts.product)}</h1><table><thead><tr>${COLUMNS.map((name) => `<th>${name}</th>`).join('')}` +
      '</tr></thead><tbody>\n',
    '</tbody></table>\n',
  ],
};

/** Hands the file to the browser. */
export function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
