import { expect, it } from 'vitest';

import { countsOf } from '../link/counts';
import type { Session, Status } from '../protocol';
import { Sessions } from './sessions.svelte';

const session = (session_id: string, status: Status, last_event_at = 0, started_at = 0): Session => ({
  session_id,
  status,
  started_at,
  last_event_at,
  last_seq: 1,
  events: 1,
  errors: 0,
  tool_calls: 0,
  last_summary: '',
  current: [],
  agents: { total: 0, running: 0 },
});
const ask = { what: 'plan' } as const;

it('who waits longest for the reader comes first, and who works keeps its place', () => {
  const sessions = new Sessions();
  sessions.replace([
    session('closed', { state: 'closed', since: 1 }, 99),
    session('worksOld', { state: 'working', since: 5 }, 100, 10),
    session('worksNew', { state: 'working', since: 9 }, 50, 20),
    session('seen', { state: 'done', unread: false, since: 1 }, 40),
    session('done', { state: 'done', unread: true, since: 3 }),
    session('waitsShort', { state: 'needs_you', ask, open: 1, since: 8 }),
    session('waitsLong', { state: 'needs_you', ask, open: 1, since: 2 }),
    session('failed', { state: 'failed', error: 'x', since: 4 }),
  ]);
  const order = () => sessions.byNeed.map(({ session_id }) => session_id);
  const expected = ['waitsLong', 'waitsShort', 'failed', 'done', 'worksNew', 'worksOld', 'seen', 'closed'];
  expect(order()).toEqual(expected);
  sessions.update([session('worksOld', { state: 'working', tool: 'Bash', since: 101 }, 101, 10)]);
  expect(order()).toEqual(expected);
  expect(sessions.waiting).toBe(2);
});

it('counts what the monitor has, loaded or not, and what is loaded when the monitor does not count', () => {
  const sessions = new Sessions();
  const loaded = [session('a', { state: 'working', since: 1 }), session('b', { state: 'closed', since: 1 })];
  sessions.replace(loaded);
  expect(sessions.counts).toEqual(countsOf(loaded));
  expect(sessions.counts).toMatchObject({ total: 2, states: { working: 1, closed: 1 } });
  const counts = { total: 20_000, open: 7, unread: 1, agents: 3, states: { needs_you: 4, closed: 19_000 } };
  sessions.replace(loaded, counts);
  expect([sessions.counts, sessions.waiting, sessions.list.length]).toEqual([counts, 4, 2]);
  sessions.update([session('c', { state: 'working', since: 2 })], { ...counts, total: 20_001 });
  expect([sessions.counts.total, sessions.list.length]).toEqual([20_001, 3]);
});
