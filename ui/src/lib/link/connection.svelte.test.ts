import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Events, FLUSH_MS, ROWS_MAX } from '../model/events.svelte';
import { Rate } from '../model/rate.svelte';
import { Sessions } from '../model/sessions.svelte';
import type { Row, Snapshot, Subscribe } from '../protocol';
import { row, rows, seqs } from '../testing';
import type { Page, RowsQuery } from './api';
import { Connection, RETRY_MS } from './connection.svelte';
import { countsOf } from './counts';
import type { StreamSocket } from './socket';

type Ack = (snapshot: Snapshot) => void;

/** A server's end of the socket, driven by the test. */
class FakeSocket implements StreamSocket {
  connects = 0;
  subscribed: { subscribe: Subscribe; ack: Ack }[] = [];
  #listeners = new Map<string, (...data: never[]) => void>();

  on(event: string, listener: (...data: never[]) => void): void {
    this.#listeners.set(event, listener);
  }

  emit(event: string, ...data: unknown[]): void {
    if (event === 'subscribe') this.subscribed.push({ subscribe: data[0] as Subscribe, ack: data[1] as Ack });
  }

  connect(): void {
    this.connects += 1;
  }

  disconnect(): void {
    this.say('disconnect');
  }

  say(event: string, ...data: unknown[]): void {
    this.#listeners.get(event)?.(...(data as never[]));
  }

  get last(): { subscribe: Subscribe; ack: Ack } {
    const last = this.subscribed.at(-1);
    if (!last) throw new Error('nobody has subscribed');
    return last;
  }
}

function snapshot(list: Row[], more: Partial<Snapshot> = {}): Snapshot {
  return {
    epoch: 'one',
    server_version: '1.0.0',
    last_seq: list.at(-1)?.seq ?? 0,
    snapshot: list,
    sessions: [],
    counts: countsOf(more.sessions ?? []),
    has_more: false,
    ...more,
  };
}

const settle = () => vi.advanceTimersByTimeAsync(FLUSH_MS);

function start(page: (query: RowsQuery) => Promise<Page> = () => Promise.reject(new Error('not asked for'))) {
  const socket = new FakeSocket();
  const events = new Events(() => Promise.resolve({ events: [], has_more: false }));
  const sessions = new Sessions();
  const asked = vi.fn(page);
  const connection = new Connection({ events, sessions, rate: new Rate(), open: () => socket, rows: asked });
  const stop = connection.run();
  return { socket, events, sessions, connection, asked, stop };
}

/** Connected, with rows 1 to 3. */
async function live(page?: (query: RowsQuery) => Promise<Page>) {
  const parts = start(page);
  parts.socket.say('connect');
  parts.socket.last.ack(snapshot(rows(1, 3)));
  await settle();
  return parts;
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('location', new URL('http://localhost:8765/'));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('the first connection', () => {
  it('asks for the newest rows and is live with the snapshot', async () => {
    const { socket, connection, events } = start();
    expect(connection.phase).toBe('connecting');
    socket.say('connect');
    expect(socket.last.subscribe.after).toBeUndefined();
    socket.last.ack(snapshot(rows(41, 50), { has_more: true }));
    await settle();
    expect(connection.phase).toBe('live');
    expect(seqs(events.shown)).toEqual(seqs(rows(41, 50)));
    expect(events.olderExist, 'without `after`, more means older').toBe(true);
  });

  it('tries again for as long as it takes', async () => {
    const { socket, connection } = start();
    for (let attempt = 1; attempt <= 20; attempt += 1) {
      expect(socket.connects).toBe(attempt);
      socket.say('connect_error', new Error('refused'));
      expect(connection.phase).toBe('lost');
      await vi.advanceTimersByTimeAsync(RETRY_MS.at(-1) ?? 0);
    }
  });

  it('tries again when the subscription is not answered', async () => {
    const { socket, connection } = start();
    socket.say('connect');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(connection.phase).toBe('lost');
    await vi.advanceTimersByTimeAsync(RETRY_MS[0]);
    expect(socket.connects).toBe(2);
  });
});

describe('a lost connection', () => {
  it('keeps the rows, says since when, and resumes after the last one', async () => {
    const { socket, connection, events } = await live();
    socket.say('events', { rows: rows(4, 6) });
    socket.say('disconnect');
    expect(connection.phase).toBe('lost');
    expect(connection.lostSince).toBe(Date.now());
    expect(connection.retryAt).toBe(Date.now() + RETRY_MS[0]);
    await vi.advanceTimersByTimeAsync(RETRY_MS[0]);
    socket.say('connect');
    expect(socket.last.subscribe.after).toBe(6);
    socket.last.ack(snapshot(rows(7, 8)));
    await settle();
    expect(connection.phase).toBe('live');
    expect(connection.lostSince).toBeNull();
    expect(seqs(events.shown)).toEqual(seqs(rows(1, 8)));
  });

  it('is tried at once when the reader asks', async () => {
    const { socket, connection } = await live();
    socket.say('disconnect');
    connection.retryNow();
    expect(socket.connects).toBe(2);
    expect(connection.retryAt).toBeNull();
    connection.retryNow();
    expect(socket.connects, 'not twice at once').toBe(2);
  });

  it('is paged through when more was missed than one snapshot holds', async () => {
    const { socket, connection, events, asked } = await live(({ after = 0 }) =>
      Promise.resolve({ events: rows(after + 1, after + 2), has_more: after < 7 }),
    );
    socket.say('disconnect');
    socket.say('connect');
    socket.last.ack(snapshot(rows(4, 5), { has_more: true, last_seq: 9 }));
    socket.say('events', { rows: [row(10)] });
    expect(connection.phase).toBe('catching_up');
    await settle();
    expect(asked.mock.calls.map(([query]) => query.after)).toEqual([5, 7]);
    expect(seqs(events.shown)).toEqual(seqs(rows(1, 10)));
    expect(connection.phase).toBe('live');
  });

  it('goes on from the last page when it is lost again in between', async () => {
    let fails = false;
    const { socket } = await live(({ after = 0 }) => {
      if (fails) return Promise.reject(new Error('gone'));
      fails = true;
      return Promise.resolve({ events: rows(after + 1, after + 2), has_more: true });
    });
    socket.say('disconnect');
    socket.say('connect');
    socket.last.ack(snapshot(rows(4, 5), { has_more: true, last_seq: 20 }));
    socket.say('events', { rows: [row(21)] });
    await settle();
    await vi.advanceTimersByTimeAsync(RETRY_MS[1]);
    socket.say('connect');
    expect(socket.last.subscribe.after, 'not 21: rows 8 to 20 are missing').toBe(7);
  });

  it('starts over when more was missed than the page holds', async () => {
    const { socket, events } = await live();
    socket.say('disconnect');
    socket.say('connect');
    socket.last.ack(snapshot(rows(4, 5), { has_more: true, last_seq: ROWS_MAX + 100 }));
    await settle();
    expect(socket.last.subscribe.after).toBeUndefined();
    expect(events.loaded).toBe(0);
  });

  it('ignores the answer to an earlier subscription', async () => {
    const { socket, connection } = start();
    socket.say('connect');
    const early = socket.last.ack;
    socket.say('disconnect');
    early(snapshot(rows(1, 3)));
    await settle();
    expect(connection.phase).toBe('lost');
  });
});

describe('another store', () => {
  it('means starting over, with a subscription from the beginning', async () => {
    const { socket, events, connection } = await live();
    socket.say('disconnect');
    socket.say('connect');
    expect(socket.last.subscribe.after).toBe(3);
    socket.last.ack(snapshot([], { epoch: 'two', last_seq: 1 }));
    await settle();
    expect(events.loaded).toBe(0);
    expect(socket.last.subscribe.after).toBeUndefined();
    socket.last.ack(snapshot([row(1)], { epoch: 'two' }));
    await settle();
    expect(seqs(events.shown)).toEqual([1]);
    expect(connection.phase).toBe('live');
  });
});

describe('a gap', () => {
  it('is filled from the history, in pages', async () => {
    const { socket, events, connection, asked } = await live(({ after = 0, before = 0 }) => {
      const last = Math.min(after + 2, before - 1);
      return Promise.resolve({ events: rows(after + 1, last), has_more: last < before - 1 });
    });
    socket.say('gap', { from: 4, to: 7 });
    expect(connection.missing).toBe(4);
    expect([
      connection.missedBetween(3, 8),
      connection.missedBetween(5, 8),
      connection.missedBetween(1, 3),
    ]).toEqual([4, 2, 0]);
    socket.say('events', { rows: [row(8)] });
    await settle();
    expect(asked.mock.calls.map(([query]) => [query.after, query.before])).toEqual([
      [3, 8],
      [5, 8],
    ]);
    expect(seqs(events.shown)).toEqual(seqs(rows(1, 8)));
    expect(connection.missing).toBe(0);
    expect(connection.missedBetween(3, 8)).toBe(0);
  });

  it('that could not be filled is tried again', async () => {
    let tries = 0;
    const { socket, events } = await live(() => {
      tries += 1;
      return tries === 1
        ? Promise.reject(new Error('busy'))
        : Promise.resolve({ events: rows(4, 5), has_more: false });
    });
    socket.say('gap', { from: 4, to: 5 });
    await vi.advanceTimersByTimeAsync(3000);
    expect(seqs(events.shown)).toEqual([1, 2, 3, 4, 5]);
  });

  it('that is open when the connection is lost is where the resume begins', async () => {
    const { socket, connection } = await live(() => new Promise<Page>(() => undefined));
    socket.say('gap', { from: 4, to: 7 });
    socket.say('events', { rows: [row(8)] });
    socket.say('disconnect');
    expect(connection.missing).toBe(0);
    socket.say('connect');
    expect(socket.last.subscribe.after).toBe(3);
  });
});

describe('what the server says of itself', () => {
  it('another version offers a reload', async () => {
    const { socket, connection } = await live();
    expect(connection.outdated).toBe(false);
    socket.say('disconnect');
    socket.say('connect');
    socket.last.ack(snapshot([], { server_version: '1.1.0', last_seq: 3 }));
    await settle();
    expect(connection.outdated).toBe(true);
  });

  it('a stop is told apart from a broken line, until it is back', async () => {
    const { socket, connection } = await live();
    socket.say('server_shutdown', { reason: 'stopped' });
    socket.say('disconnect');
    expect(connection.farewell).toEqual({ restart: false, reason: 'stopped', url: null });
    socket.say('connect');
    socket.last.ack(snapshot([], { last_seq: 3 }));
    await settle();
    expect(connection.farewell).toBeNull();
  });

  it('a restart elsewhere names the place, but only a web address of another one', async () => {
    const { socket, connection } = await live();
    const urls = ['http://localhost:8766/', 'http://127.0.0.1:8765/', 'javascript:alert(1)', 7];
    const named = urls.map((url) => {
      socket.say('server_restart', { reason: 'moved', url });
      return connection.farewell?.url;
    });
    expect(named).toEqual(['http://localhost:8766/', null, null, null]);
  });

  it('rows that the server could not keep are shown behind the newest, and counted', async () => {
    const { socket, events, connection } = await live();
    socket.say('unstored', { rows: [row(0), row(0)] });
    socket.say('events', { rows: [row(4)] });
    await settle();
    const shown = seqs(events.shown);
    expect(shown.slice(-3).map((seq) => Number.isInteger(seq))).toEqual([false, false, true]);
    expect(shown).toEqual([...shown].sort((a, b) => a - b));
    expect(connection.unstored).toBe(2);
  });

  it('sessions change one by one', async () => {
    const { socket, sessions } = await live();
    const session = {
      session_id: 'a',
      started_at: 1,
      last_event_at: 5,
      last_seq: 1,
      events: 1,
      errors: 0,
      tool_calls: 0,
      last_summary: '',
      status: { state: 'idle', since: 1 },
      agents: { total: 0, running: 0 },
    };
    socket.say('sessions', { changed: [session] });
    socket.say('sessions', { changed: [{ ...session, session_id: 'b', last_event_at: 9, ended_at: 9 }] });
    expect(sessions.list.map(({ session_id }) => session_id)).toEqual(['b', 'a']);
    expect(sessions.counts.open).toBe(1);
  });

  it('nothing more is heard after the page has closed', async () => {
    const { socket, connection, stop } = await live();
    stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(socket.connects).toBe(1);
    expect(connection.phase).toBe('live');
  });
});
