import { describe, expect, it } from 'vitest';

import type { Agent, Row } from '../protocol';
import { row } from '../testing';
import { Axis, tickStep } from './axis';
import { graphOf } from './graph';
import { firstAfter, layOut, packed, type Bar } from './lanes';
import { runStart, stateOf, Timeline, waitOf } from './timeline';

let seq = 0;
const at = (occurred_at: number, kind: string, fields: Partial<Row> = {}) =>
  row((seq += 1), { occurred_at, kind, summary: `${fields.tool_name ?? ''}  ls  → 3 lines`, ...fields });
const call = { tool_name: 'Bash', tool_use_id: 't1' };

const only = <T>(list: readonly T[]): T => list[0] as T;

function folded(...rows: Row[]): Timeline {
  const timeline = new Timeline();
  timeline.add(rows);
  return timeline;
}

describe('a tool call', () => {
  it('waits, then runs', () => {
    const { calls } = folded(
      at(1000, 'PreToolUse', call),
      at(1100, 'PermissionRequest', call),
      at(9000, 'PostToolUse', { ...call, duration_ms: 3000 }),
    );
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatchObject({
      tool: 'Bash',
      what: 'ls',
      start: 1000,
      asked: 1100,
      end: 9000,
      outcome: 'ok',
    });
    expect(waitOf(only(calls))).toBe(5000);
    expect(runStart(only(calls))).toBe(6000);
  });

  it('that waits for the user is not running', () => {
    const { calls } = folded(at(1000, 'PreToolUse', call), at(1100, 'PermissionRequest', call));
    expect(stateOf(only(calls))).toBe('waiting');
    expect(runStart(only(calls))).toBeNull();
    expect(waitOf(only(calls))).toBeNull();
  });

  it('whose start was lost began as long ago as it ran', () => {
    const { calls } = folded(at(9000, 'PostToolUseFailure', { ...call, duration_ms: 3000, is_error: true }));
    expect(calls[0]).toMatchObject({ start: 6000, end: 9000, outcome: 'failed' });
  });

  it('without an id ends the oldest of its tool', () => {
    const { calls } = folded(
      at(1, 'PreToolUse', { tool_name: 'Read' }),
      at(2, 'PreToolUse', { tool_name: 'Bash' }),
      at(3, 'PreToolUse', { tool_name: 'Read' }),
      at(9, 'PostToolUse', { tool_name: 'Read' }),
    );
    expect(calls.map(({ end }) => end)).toEqual([9, null, null]);
  });

  it('ends once', () => {
    const { calls } = folded(
      at(1, 'PreToolUse', call),
      at(5, 'PostToolUse', call),
      at(9, 'PostToolUse', call),
    );
    expect(calls.map(({ end }) => end)).toEqual([5]);
  });

  it('that nobody ended ends with its turn, its agent or its session', () => {
    const agent = { agent_id: 'a1', agent_type: 'Explore' };
    const { calls, agents } = folded(
      at(1, 'PreToolUse', call),
      at(2, 'PreToolUse', { ...agent, tool_name: 'Read', tool_use_id: 't2' }),
      at(5, 'Stop'),
      at(7, 'SubagentStop', agent),
    );
    expect(calls.map(({ end, outcome }) => [end, outcome])).toEqual([
      [5, 'unknown'],
      [7, 'unknown'],
    ]);
    expect(agents[0]).toMatchObject({ label: 'Explore', start: 2, end: 7 });
  });
});

it('a turn ends with its stop, or when another one begins', () => {
  const { turns } = folded(
    at(1, 'UserPromptSubmit', { summary: 'Prompt  hello' }),
    at(5, 'UserPromptSubmit', { summary: 'Prompt  again' }),
    at(9, 'StopFailure', { is_error: true }),
  );
  expect(turns.map(({ label, start, end, failed }) => [label, start, end, failed])).toEqual([
    ['hello', 1, 5, false],
    ['again', 5, 9, true],
  ]);
});

it('a turn goes on under a prompt that waits and under what nobody typed', () => {
  const typed = (seconds: number, id: string, summary: string) =>
    at(seconds, 'UserPromptSubmit', { summary, prompt_id: id });
  const { turns } = folded(
    typed(1, 'p1', 'Prompt  build it'),
    typed(2, 'p1', 'Prompt  then test it'),
    typed(3, 'p2', 'Notice  make completed'),
    at(4, 'Stop'),
    typed(5, 'p3', 'Notice  watch: tick'),
    typed(6, 'p4', 'Prompt  stop'),
  );
  expect(turns.map(({ label, start, end }) => [label, start, end])).toEqual([
    ['build it', 1, 4],
    ['watch: tick', 5, 6],
    ['stop', 6, null],
  ]);
});

it('nothing goes on in a session that is lost', () => {
  const { turns, calls } = folded(
    at(1, 'UserPromptSubmit', { summary: 'Prompt  hello' }),
    at(2, 'PreToolUse', call),
    at(3, 'session.lost'),
  );
  expect([turns[0]?.end, calls[0]?.end]).toEqual([3, 3]);
});

describe('the axis', () => {
  const busy = [
    { start: 0, end: 10_000 },
    { start: 3_610_000, end: 3_620_000 },
  ];

  it('folds an hour of nothing and keeps the rest in proportion', () => {
    const axis = new Axis(busy, 0, 3_620_000);
    expect(axis.stretches.map(({ folded }) => folded)).toEqual([false, true, false]);
    expect(axis.length).toBeLessThan(30_000);
    expect(axis.place(10_000) - axis.place(0)).toBe(10_000);
    expect(axis.place(3_620_000) - axis.place(3_610_000)).toBe(10_000);
  });

  it('leads from a time to its place and back', () => {
    const axis = new Axis(busy, 0, 3_620_000);
    for (const time of [0, 5000, 10_000, 1_800_000, 3_612_000, 3_620_000]) {
      expect(axis.time(axis.place(time))).toBeCloseTo(time, 3);
    }
  });

  it('folds nothing when told so', () => {
    expect(new Axis(busy, 0, 3_620_000, false).length).toBe(3_620_000);
  });

  it('has ticks at round times', () => {
    expect(tickStep(10_000, 10)).toBe(1000);
    expect(tickStep(3_600_000, 10)).toBe(600_000);
  });
});

describe('lanes', () => {
  const bar = (start: number, end: number): Bar => ({
    type: 'call',
    start,
    end,
    call: { seq: 1, tool: '', what: '', agent: null, start, asked: null, end, run: null, outcome: 'ok' },
  });

  it('put calls that overlap below each other', () => {
    const rows = packed([bar(0, 10), bar(5, 15), bar(10, 20), bar(15, 18)]);
    expect(rows.map((one) => one.map(({ start }) => start))).toEqual([
      [0, 10],
      [5, 15],
    ]);
    expect(firstAfter(only(rows), 10)).toBe(1);
  });

  it('stand for turns, the main thread and each agent', () => {
    const timeline = folded(
      at(1, 'UserPromptSubmit', { summary: 'Prompt  hello' }),
      at(2, 'PreToolUse', call),
      at(3, 'PreToolUse', { tool_name: 'Read', tool_use_id: 't3', agent_id: 'a1', agent_type: 'Explore' }),
    );
    const { lanes, rows } = layOut(timeline, 50, 'main', 'turns');
    expect(lanes.map(({ label, top }) => [label, top])).toEqual([
      ['turns', 0],
      ['main', 1],
      ['Explore', 2],
    ]);
    expect(rows.flat().every(({ end }) => end === 50)).toBe(true);
  });
});

it('agents stand beside those that started them, also when those are forgotten or in a circle', () => {
  const agent = (agent_id: string, parent: Agent['parent']): Agent => ({
    agent_id,
    parent,
    is_background: false,
    status: { state: 'running' },
    started_at: 0,
    tool_calls: 0,
  });
  const of = (agent_id: string): Agent['parent'] => ({ of: 'agent', agent_id });
  const graph = graphOf([
    agent('a', { of: 'main' }),
    agent('b', of('a')),
    agent('c', of('a')),
    agent('d', of('gone')),
  ]);
  const where = Object.fromEntries(
    graph.nodes.map((node) => [node.agent?.agent_id ?? 'main', [node.x, node.y]]),
  );
  expect(where).toEqual({ b: [2, 0], c: [2, 1], a: [1, 0.5], d: [1, 2], main: [0, 1.25] });
  expect(graph.edges).toHaveLength(4);
  expect(graphOf([agent('x', of('y')), agent('y', of('x'))]).nodes).toHaveLength(1);
});
