import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { Health } from '../protocol';
import { Vitals } from './vitals.svelte';

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

const health = (refused: number, at = Date.now()) =>
  ({ spool: { waiting: 0, refused, rejected: 0 }, timestamp: new Date(at).toISOString() }) as Health;

it('tells how many events were lost, and keeps what it knows while nobody answers', async () => {
  const answers = [() => Promise.resolve(health(3)), () => Promise.reject(new Error('gone'))];
  const vitals = new Vitals(() => (answers.shift() as () => Promise<Health>)());
  expect(vitals.notSpooled).toBe(0);
  await vitals.refresh();
  expect(vitals.notSpooled).toBe(3);
  await vitals.refresh();
  expect(vitals.notSpooled).toBe(3);
});

it('tells why hooks can keep no events, until they can', async () => {
  const spool = { waiting: 0, refused: 0, rejected: 0 };
  const timestamp = new Date().toISOString();
  const answers = [{ spool: { ...spool, problem: 'spool is a link; move it away' } }, { spool }];
  const vitals = new Vitals(() => Promise.resolve({ ...answers.shift(), timestamp } as Health));
  await vitals.refresh();
  expect(vitals.spoolProblem).toBe('spool is a link; move it away');
  await vitals.refresh();
  expect(vitals.spoolProblem).toBeNull();
});

it('takes a monitor that does not count losses for one without', async () => {
  const vitals = new Vitals(() => Promise.resolve({ timestamp: new Date().toISOString() } as Health));
  await vitals.refresh();
  expect(vitals.notSpooled).toBe(0);
});

it.each([
  ['a clock two hours ahead', 7_200_000, 7_200_000],
  ['a clock behind', -60_000, -60_000],
  ['a slow answer', 900, 0],
])('%s', async (_, off, skew) => {
  const vitals = new Vitals(() => Promise.resolve(health(0, Date.now() + off)));
  await vitals.refresh();
  expect(vitals.now).toBe(1_000_000 + skew);
});

it('stops asking when it is told to', async () => {
  let asked = 0;
  const vitals = new Vitals(() => {
    asked += 1;
    return Promise.resolve(health(0));
  });
  const stop = vitals.run();
  await vi.advanceTimersByTimeAsync(60_000);
  const before = asked;
  expect(before).toBeGreaterThan(1);
  stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toBe(before);
});

it('tells of a pause of capture until it is over', async () => {
  const paused = (until: number | null) =>
    ({ capture: { paused: true, until, skipped: 2 }, timestamp: new Date().toISOString() }) as Health;
  const answers = [paused(null), paused(Date.now() + 60_000)];
  const vitals = new Vitals(() => Promise.resolve(answers.shift() as Health));
  expect(vitals.pause).toBeNull();
  await vitals.refresh();
  expect(vitals.pause?.skipped).toBe(2);
  await vitals.refresh();
  expect(vitals.pause?.until).toBe(1_060_000);
  vi.setSystemTime(1_060_000);
  expect(vitals.pause).toBeNull();
});

it('asks more often while sessions are computed anew, and tells how far that is', async () => {
  const at = (done: number | null) =>
    ({ ...health(0), rebuild: done === null ? null : { done, total: 9 } }) as Health;
  const answers = [at(1), at(5), at(null)];
  const vitals = new Vitals(() => Promise.resolve(answers.shift() ?? at(null)));
  expect(vitals.rebuild).toBeNull();
  const stop = vitals.run();
  await vi.advanceTimersByTimeAsync(10);
  expect(vitals.rebuild).toEqual({ done: 1, total: 9 });
  await vi.advanceTimersByTimeAsync(1000);
  expect(vitals.rebuild).toEqual({ done: 5, total: 9 });
  await vi.advanceTimersByTimeAsync(1000);
  expect(vitals.rebuild).toBeNull();
  stop();
});
