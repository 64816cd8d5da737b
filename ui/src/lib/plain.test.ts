// The small pure modules: route, json, format, colour, sorted, rate.
import { describe, expect, it } from 'vitest';

import { HUES, markOf, SHAPES } from './colour';
import { ago, baseName, bytes, duration, stretch, toolLabel } from './format';
import { prettyPrefix } from './json';
import { Rate } from './rate.svelte';
import { ALL_TIME, formatRoute, HOME, parseRoute, type Route } from './route';
import { merge } from './sorted';
import { row, rows, seqs } from './testing';

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

describe('a cut JSON text', () => {
  it('is laid out as far as it goes', () => {
    expect(prettyPrefix('{"a":[1,{}],"b":"x,{\\"y')).toBe(
      '{\n  "a": [\n    1,\n    {}\n  ],\n  "b": "x,{\\"y',
    );
  });

  it('keeps a whole text readable as the same JSON', () => {
    const value = { a: [1, 2, { b: null }], 'c d': 'e:{[,"\\', f: [], g: {} };
    expect(JSON.parse(prettyPrefix(JSON.stringify(value)))).toEqual(value);
  });
});

describe('formats', () => {
  it.each([
    [4, '4 ms'],
    [999, '999 ms'],
    [1000, '1.0 s'],
    [59_960, '1 m 00 s'],
    [125_000, '2 m 05 s'],
    [4_320_000, '1 h 12 m'],
  ])('%i ms as %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });

  it('names', () => {
    expect(baseName('/home/dev/shop/')).toBe('shop');
    expect(baseName('C:\\code\\shop')).toBe('shop');
    expect(toolLabel('mcp__github__search_code')).toBe('github search_code');
    expect(toolLabel('Bash')).toBe('Bash');
    expect(bytes(10_400_000)).toBe('10.4 MB');
    expect(stretch(661_000)).toBe('11 min');
    expect(ago(0, 3 * 3_600_000)).toBe('3 h ago');
  });
});

it('a session keeps its mark, and many sessions use all of them', () => {
  expect(markOf('3f0c2b9e')).toEqual(markOf('3f0c2b9e'));
  const marks = Array.from({ length: 2000 }, (_, at) => markOf(`session ${at}`));
  expect(new Set(marks.map(({ hue, shape }) => `${hue} ${shape}`)).size).toBe(HUES * SHAPES);
});

it('merging keeps order and the older of two rows at one place', () => {
  const old = [row(1), row(3, { summary: 'old' }), row(5)];
  const merged = merge(old, [row(0), ...rows(2, 4, { summary: 'new' }), row(9)]);
  expect(seqs(merged)).toEqual([0, 1, 2, 3, 4, 5, 9]);
  expect(merged[3]?.summary).toBe('old');
});

it('the rate is that of the last five whole seconds', () => {
  const rate = new Rate();
  for (const events of [100, 10, 10, 10, 10, 10]) {
    rate.add(events);
    rate.tick();
  }
  rate.add(7);
  expect(rate.perSecond).toBe(10);
  expect(rate.counts).toHaveLength(60);
});
