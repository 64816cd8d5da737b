import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { Losses } from './losses.svelte';
import type { Health } from './protocol';
import { texts } from './texts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const health = (refused: number) => ({ spool: { waiting: 0, refused, rejected: 0 } }) as Health;

it('asks at once and each minute, until stopped', async () => {
  let refused = 0;
  const ask = vi.fn(() => Promise.resolve(health(refused)));
  const losses = new Losses(ask);
  const stop = losses.run();
  await vi.advanceTimersByTimeAsync(0);
  expect(losses.notSpooled).toBe(0);
  refused = 3;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(losses.notSpooled).toBe(3);
  stop();
  await vi.advanceTimersByTimeAsync(600_000);
  expect(ask).toHaveBeenCalledTimes(2);
});

it('keeps what it knows when the monitor does not answer', async () => {
  const ask = vi.fn<() => Promise<Health>>();
  ask.mockResolvedValueOnce(health(2)).mockRejectedValue(new Error('gone'));
  const losses = new Losses(ask);
  const stop = losses.run();
  await vi.advanceTimersByTimeAsync(120_000);
  expect(losses.notSpooled).toBe(2);
  stop();
});

it('takes a monitor that does not count for one without losses', async () => {
  const losses = new Losses(() => Promise.resolve({} as Health));
  const stop = losses.run();
  await vi.advanceTimersByTimeAsync(0);
  expect(losses.notSpooled).toBe(0);
  stop();
});

it('speaks of one and of many', () => {
  expect(texts.counts.notSpooled(1)).toBe('1 event could not be spooled');
  expect(texts.counts.notSpooled(1200)).toBe('1,200 events could not be spooled');
});
