// Makers of rows for tests.
import type { Row, Seq } from './protocol';

export function row(seq: Seq, fields: Partial<Row> = {}): Row {
  return {
    seq,
    id: `id-${seq}`,
    received_at: 1_000_000 + seq,
    occurred_at: 1_000_000 + seq,
    source: 'hook',
    kind: 'PreToolUse',
    is_error: false,
    summary: `event ${seq}`,
    ...fields,
  };
}

/** Rows `from` to `to`, both included. */
export function rows(from: Seq, to: Seq, fields: Partial<Row> = {}): Row[] {
  return Array.from({ length: to - from + 1 }, (_, at) => row(from + at, fields));
}

export function seqs(list: readonly Row[]): Seq[] {
  return list.map(({ seq }) => seq);
}
