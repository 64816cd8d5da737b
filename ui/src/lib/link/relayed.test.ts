import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { row } from '../testing';
import { portOf } from './instance';
import { RelayedStream } from './relayed';

/** Answers each route from a list; the last answer of a list never comes. */
function answering(routes: Record<string, unknown[]>): string[] {
  const asked: string[] = [];
  vi.stubGlobal('fetch', (url: string) => {
    asked.push(url);
    const [path = ''] = url.split('?', 1);
    const next = routes[path]?.shift();
    if (next === undefined) return new Promise(() => undefined);
    return Promise.resolve(next instanceof Error ? Promise.reject(next) : new Response(JSON.stringify(next)));
  });
  return asked;
}

function started() {
  const stream = new RelayedStream();
  const said: [string, unknown][] = [];
  for (const event of ['connect', 'disconnect', 'events', 'sessions', 'server_restart']) {
    stream.on(event, (data?: unknown) => said.push([event, data]));
  }
  const snapshots: unknown[] = [];
  stream.connect();
  stream.emit('subscribe', { limit: 1000 }, (snapshot: unknown) => snapshots.push(snapshot));
  return { stream, said, snapshots };
}

const health = { version: '1.0.0', last_seq: 1 };
const first = { events: [row(1)], has_more: false, position: 1, epoch: 'one' };

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('the stream of another monitor', () => {
  it('begins with everything so far and goes on without a gap', async () => {
    const asked = answering({
      '/health': [health],
      '/api/sessions': [{ sessions: [] }, { sessions: [] }],
      '/api/events': [first, { events: [row(2)], has_more: false, position: 2, epoch: 'one' }],
    });
    const { said, snapshots } = started();
    await vi.advanceTimersByTimeAsync(1000);
    expect(snapshots).toMatchObject([
      { epoch: 'one', server_version: '1.0.0', last_seq: 1, has_more: false },
    ]);
    expect(said).toMatchObject([
      ['connect', undefined],
      ['events', { rows: [{ seq: 2 }] }],
      ['sessions', {}],
    ]);
    expect(asked.at(-1)).toContain('after=2');
  });

  it('is lost when the monitor restarts, has another store, or does not answer', async () => {
    const last = { events: [], has_more: false, position: 1, epoch: 'one' };
    for (const answer of [
      { ...last, ending: { reason: 'restart' } },
      { ...last, epoch: 'two' },
      new Error('gone'),
    ]) {
      answering({
        '/health': [health],
        '/api/sessions': [{ sessions: [] }],
        '/api/events': [first, answer],
      });
      const { said } = started();
      await vi.advanceTimersByTimeAsync(1000);
      expect(said.at(-1)).toEqual(['disconnect', undefined]);
    }
  });
});

it('only a port in the address names another monitor', () => {
  expect(portOf('?instance=8770')).toBe(8770);
  for (const search of ['', '?instance=', '?instance=0', '?instance=70000', '?instance=../x']) {
    expect(portOf(search)).toBeNull();
  }
});
