// Where the waterfall draws what: lanes from top to bottom, bars that overlap in time in rows of their own.
import type { Timestamp } from '../protocol';
import type { Busy } from './axis';
import type { AgentSpan, Call, Span, Timeline } from './timeline';

export type Bar =
  | { type: 'turn'; span: Span; start: Timestamp; end: Timestamp }
  | { type: 'agent'; span: AgentSpan; start: Timestamp; end: Timestamp }
  | { type: 'call'; call: Call; start: Timestamp; end: Timestamp };

export interface Lane {
  label: string;
  /** Bars of one row do not overlap and stand in the order of time. */
  rows: readonly (readonly Bar[])[];
  /** Index of its first row among all rows. */
  top: number;
}

export interface Layout {
  lanes: readonly Lane[];
  rows: readonly (readonly Bar[])[];
  /** When anything went on, in the order of starts. */
  busy: readonly Busy[];
}

/** Calls of one lane that run at once; more share the last row. */
const ROWS_MAX = 12;

/** What still goes on ends at `now`. */
export function layOut(timeline: Timeline, now: Timestamp, mainLabel: string, turnsLabel: string): Layout {
  const end = (span: { start: Timestamp; end: Timestamp | null }) => span.end ?? Math.max(now, span.start);
  const turns = timeline.turns.map((span): Bar => ({
    type: 'turn',
    span,
    start: span.start,
    end: end(span),
  }));
  const byAgent = new Map<string | null, Bar[]>();
  for (const call of timeline.calls) {
    const bars = byAgent.get(call.agent) ?? [];
    bars.push({ type: 'call', call, start: call.start, end: end(call) });
    byAgent.set(call.agent, bars);
  }
  const lanes: Lane[] = [];
  const rows: (readonly Bar[])[] = [];
  const push = (label: string, laneRows: readonly (readonly Bar[])[]) => {
    lanes.push({ label, rows: laneRows, top: rows.length });
    rows.push(...laneRows);
  };
  if (turns.length > 0) push(turnsLabel, [turns]);
  const main = byAgent.get(null);
  if (main !== undefined) push(mainLabel, packed(main));
  for (const agent of timeline.agents) {
    const bar: Bar = { type: 'agent', span: agent, start: agent.start, end: end(agent) };
    push(agent.label, [[bar], ...packed(byAgent.get(agent.id) ?? [])]);
  }
  // What still goes on without a word is as quiet as what does not.
  const busy = rows
    .flat()
    .map(({ start, end: until }) => ({ start, end: until === now ? Math.max(start, timeline.last) : until }))
    .sort((a, b) => a.start - b.start);
  return { lanes, rows, busy };
}

/** Each bar into the first row that is free by then. */
export function packed(bars: readonly Bar[]): Bar[][] {
  const rows: Bar[][] = [];
  const sorted = [...bars].sort((a, b) => a.start - b.start);
  for (const bar of sorted) {
    const free = rows.findIndex((row) => (row.at(-1)?.end ?? 0) <= bar.start);
    if (free !== -1) (rows[free] as Bar[]).push(bar);
    else if (rows.length < ROWS_MAX) rows.push([bar]);
    else (rows.at(-1) as Bar[]).push(bar);
  }
  return rows;
}

/** Index of the first bar of a row that ends after `time`. */
export function firstAfter(row: readonly Bar[], time: Timestamp): number {
  let low = 0;
  let high = row.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((row[middle] as Bar).end <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
