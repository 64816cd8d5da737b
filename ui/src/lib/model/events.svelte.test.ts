import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { Page } from '../link/api';
import { row, rows, seqs } from '../testing';
import { Events, FLUSH_MS, type OlderRows } from './events.svelte';

const noOlder: OlderRows = () => Promise.resolve({ events: [], has_more: false });

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function loaded(to: number, rowsMax?: number, olderRows = noOlder): Events {
  const events = new Events(olderRows, rowsMax);
  events.add(rows(1, to));
  events.flush();
  return events;
}

describe('taking rows in', () => {
  it('changes the list once per flush, however many batches come', () => {
    const events = new Events(noOlder);
    const before = events.version;
    for (let seq = 1; seq <= 50; seq += 1) events.add([row(seq)]);
    expect(events.shown).toHaveLength(0);
    vi.advanceTimersByTime(FLUSH_MS);
    expect(events.shown).toHaveLength(50);
    expect(events.version).toBe(before + 1);
  });

  it('drops rows that are already there', () => {
    const events = loaded(5);
    events.add([row(4), row(5), row(6), row(6)]);
    events.flush();
    expect(seqs(events.shown)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('puts late rows where they belong', () => {
    const events = new Events(noOlder);
    events.add([row(1), row(2), row(7)]);
    events.flush();
    events.add([row(8), row(4), row(3)]);
    events.flush();
    expect(seqs(events.shown)).toEqual([1, 2, 3, 4, 7, 8]);
  });

  it('never shows a row that duplicates a richer one, and withdraws it when that is learnt later', () => {
    const events = loaded(3);
    events.add([row(4, { duplicate_of: 3 }), row(5), row(2, { duplicate_of: 5 })]);
    events.flush();
    expect(seqs(events.shown)).toEqual([1, 3, 5]);
  });

  it('keeps at most as many rows as it may, drops the oldest and remembers that older ones exist', () => {
    const events = loaded(100, 100);
    expect(events.olderExist).toBe(false);
    events.add(rows(101, 103));
    events.flush();
    expect(events.loaded).toBeLessThanOrEqual(100);
    expect(events.shown.at(-1)?.seq).toBe(103);
    expect(events.olderExist).toBe(true);
  });

  it('does not take rows from before a dropped stretch, which would leave an invisible hole', () => {
    const events = loaded(100, 100);
    events.add(rows(101, 110));
    events.flush();
    const first = events.shown[0]?.seq;
    events.add([row(1)]);
    events.flush();
    expect(events.shown[0]?.seq).toBe(first);
  });
});

describe('the filter', () => {
  it('tests each new row once and shows those that match', () => {
    const events = loaded(4);
    events.setQuery('status:error');
    expect(events.shown).toHaveLength(0);
    events.add([row(5), row(6, { is_error: true })]);
    events.flush();
    expect(seqs(events.shown)).toEqual([6]);
    expect(events.loaded).toBe(6);
  });

  it('gives everything back when cleared', () => {
    const events = loaded(4);
    events.setQuery('"event 2"');
    expect(seqs(events.shown)).toEqual([2]);
    events.setQuery('');
    expect(seqs(events.shown)).toEqual([1, 2, 3, 4]);
  });

  it('drops matching rows together with all others at the limit', () => {
    const events = new Events(noOlder, 100);
    events.setQuery('status:error');
    events.add(rows(1, 10, { is_error: true }));
    events.add(rows(11, 110));
    events.flush();
    expect(seqs(events.shown).every((seq) => seq > 10)).toBe(true);
    expect(events.shown).toHaveLength(0);
  });
});

describe('follow and pause', () => {
  it('counts only rows that came after the pause and match', () => {
    const events = loaded(10);
    events.setQuery('status:error');
    events.pause();
    events.add([row(11), row(12, { is_error: true }), row(13, { is_error: true })]);
    events.flush();
    expect(events.unseen).toBe(2);
    events.setQuery('');
    expect(events.unseen).toBe(3);
  });

  it('does not count rows that fill a gap before the pause', () => {
    const events = new Events(noOlder);
    events.add([row(1), row(9)]);
    events.flush();
    events.pause();
    events.add(rows(2, 8));
    events.flush();
    expect(events.unseen).toBe(0);
  });

  it('counts down as the new rows come on screen, and never up again', () => {
    const events = loaded(10);
    events.pause();
    events.add(rows(11, 20));
    events.flush();
    events.see(15);
    expect(events.unseen).toBe(5);
    events.see(12);
    expect(events.unseen).toBe(5);
  });

  it('has nothing unseen once it follows again, and shows what was still gathering', () => {
    const events = loaded(10);
    events.pause();
    events.add([row(11)]);
    events.follow();
    expect(events.following).toBe(true);
    expect(events.unseen).toBe(0);
    expect(events.shown.at(-1)?.seq).toBe(11);
  });
});

describe('older rows', () => {
  function withOlder(olderRows: OlderRows, rowsMax?: number): Events {
    const events = new Events(olderRows, rowsMax);
    events.add(rows(501, 510));
    events.flush();
    events.olderExist = true;
    return events;
  }

  it('are put in front, and the server says whether there are more', async () => {
    const ask = vi.fn<OlderRows>(() => Promise.resolve({ events: rows(491, 500), has_more: true }));
    const events = withOlder(ask);
    await events.loadOlder();
    expect(ask).toHaveBeenCalledWith(501, expect.any(Number));
    expect(seqs(events.shown)).toEqual(seqs(rows(491, 510)));
    expect(events.olderExist).toBe(true);
  });

  it('are asked for once at a time, and not at all when there are none', async () => {
    let answer: (page: Page) => void = () => undefined;
    const ask = vi.fn<OlderRows>(() => new Promise((resolve) => (answer = resolve)));
    const events = withOlder(ask);
    const first = events.loadOlder();
    await events.loadOlder();
    expect(ask).toHaveBeenCalledTimes(1);
    answer({ events: rows(1, 500), has_more: false });
    await first;
    await events.loadOlder();
    expect(ask).toHaveBeenCalledTimes(1);
  });

  it('can be asked for again after a failure', async () => {
    const ask = vi.fn<OlderRows>(() => Promise.reject(new Error('no')));
    const events = withOlder(ask);
    await events.loadOlder();
    expect(events.older).toBe('failed');
    ask.mockResolvedValueOnce({ events: [row(500)], has_more: false });
    await events.loadOlder();
    expect(events.older).toBe('idle');
    expect(events.shown[0]?.seq).toBe(500);
  });

  it('of a store that was replaced meanwhile are not taken', async () => {
    let answer: (page: Page) => void = () => undefined;
    const events = withOlder(() => new Promise((resolve) => (answer = resolve)));
    const asked = events.loadOlder();
    events.clear();
    events.add([row(1)]);
    events.flush();
    answer({ events: rows(491, 500), has_more: true });
    await asked;
    expect(seqs(events.shown)).toEqual([1]);
    expect(events.olderExist).toBe(false);
  });

  it('are not loaded into a full page', async () => {
    const ask = vi.fn<OlderRows>(noOlder);
    const events = withOlder(ask, 400);
    expect(events.full).toBe(true);
    await events.loadOlder();
    expect(ask).not.toHaveBeenCalled();
  });
});

describe('a query over many rows', () => {
  const many = 35_000;
  const late = (seq: number) => row(seq, { is_error: seq % 1000 === 0 });

  function crowded(): Events {
    const events = new Events(noOlder);
    events.add(Array.from({ length: many }, (_, at) => late(at + 1)));
    events.flush();
    return events;
  }

  it('shows the newest matches at once and the older ones in steps', () => {
    const events = crowded();
    events.setQuery('status:error');
    expect(events.scanning).toBe(true);
    expect(seqs(events.shown)).toEqual([26, 27, 28, 29, 30, 31, 32, 33, 34, 35].map((n) => n * 1000));
    vi.runAllTimers();
    expect(events.scanning).toBe(false);
    expect(events.shown).toHaveLength(35);
    expect(seqs(events.shown)).toEqual([...seqs(events.shown)].sort((a, b) => a - b));
  });

  it('takes what comes in meanwhile, each row once', () => {
    const events = crowded();
    events.setQuery('status:error');
    events.add([row(many + 1, { is_error: true }), row(3, { is_error: true })]);
    events.flush();
    vi.runAllTimers();
    expect(events.shown.at(-1)?.seq).toBe(many + 1);
    expect(new Set(seqs(events.shown)).size).toBe(events.shown.length);
    expect(events.shown).toHaveLength(36);
  });

  it('is given up for another one', () => {
    const events = crowded();
    events.setQuery('status:error');
    events.setQuery('');
    vi.runAllTimers();
    expect(events.shown).toHaveLength(many);
    expect(events.scanning).toBe(false);
  });
});

it('tells who listens of what came in, until they do not', () => {
  const events = new Events(noOlder);
  const heard: number[] = [];
  const stop = events.listen((rows) => heard.push(...seqs(rows)));
  events.add([row(1), row(2)]);
  events.flush();
  stop();
  events.add([row(3)]);
  events.flush();
  expect(heard).toEqual([1, 2]);
});
