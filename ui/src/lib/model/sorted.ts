// Lists of rows in order of their position: finding and merging.
import type { Row, Seq } from '../protocol';

/** Index of the first row at or after `seq`; the length when there is none. */
export function lowerBound(rows: readonly Row[], seq: Seq): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((rows[middle] as Row).seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The row at exactly `seq`. */
export function rowAt(rows: readonly Row[], seq: Seq): Row | undefined {
  const row = rows[lowerBound(rows, seq)];
  return row?.seq === seq ? row : undefined;
}

/** The same rows in order, each position once; the given list itself when it already is so. */
export function inOrder(rows: readonly Row[]): readonly Row[] {
  if (rows.every((row, at) => at === 0 || (rows[at - 1] as Row).seq < row.seq)) return rows;
  const sorted = [...rows].sort((a, b) => a.seq - b.seq);
  return sorted.filter((row, at) => at === 0 || (sorted[at - 1] as Row).seq < row.seq);
}

/** Both lists as one; of two rows at one position the one of `old` stays. */
export function merge(old: readonly Row[], more: readonly Row[]): Row[] {
  const out: Row[] = [];
  let at = 0;
  for (const row of more) {
    for (let next = old[at]; next !== undefined && next.seq < row.seq; next = old[at]) {
      out.push(next);
      at += 1;
    }
    if (old[at]?.seq !== row.seq) out.push(row);
  }
  for (; at < old.length; at += 1) out.push(old[at] as Row);
  return out;
}
