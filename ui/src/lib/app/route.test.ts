import { describe, expect, it } from 'vitest';

import { ALL_TIME } from '../query/timewindow';
import { formatRoute, HOME, parseRoute, type Route } from './route';

describe('the address', () => {
  const routes: Route[] = [
    HOME,
    { ...HOME, view: 'stream', event: 42 },
    { ...HOME, view: 'stream', query: 'tool:Bash a&b #c ü', event: 7 },
    { ...HOME, view: 'session', session: 's/1?x=ü' },
    { ...HOME, view: 'history', window: { ...ALL_TIME, last: 3_600_000 } },
    { ...HOME, view: 'metrics', window: { from: 1, to: 2, last: null } },
  ];
  it.each(routes)('leads back to what it was made from: %o', (route) => {
    expect(parseRoute(formatRoute(route))).toEqual(route);
  });

  it.each(['', '#', '#/nowhere', '#/session', '#/session/', '#/?event=x', '#/?event=99999999999999999999'])(
    'that says nothing (%s) shows the overview',
    (hash) => {
      expect(parseRoute(hash)).toEqual(HOME);
    },
  );
});
