// The small pure modules that show something: json, format, colour.
import { describe, expect, it } from 'vitest';

import { HUES, markOf, SHAPES } from './colour';
import { ago, bytes, duration, stretch } from './format';
import { prettyPrefix } from './json';

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

  it('sizes and long times', () => {
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
