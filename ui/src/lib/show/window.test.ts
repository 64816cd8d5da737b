import { describe, expect, it } from 'vitest';

import { anchorOf, endTop, isAtEnd, spanOf, topForAnchor, topToReveal, type Geometry } from './window';

const hundred: Geometry = { top: 0, height: 100, row: 10, lead: 20, count: 100 };

describe('the rows to draw', () => {
  it.each([
    ['at the start', { top: 0 }, { first: 0, end: 10 }],
    ['in the middle', { top: 525 }, { first: 48, end: 63 }],
    ['at the end', { top: 920 }, { first: 88, end: 100 }],
    ['beyond the end', { top: 5000 }, { first: 100, end: 100 }],
    ['of an empty list', { count: 0 }, { first: 0, end: 0 }],
    ['of a list without height', { height: 0 }, { first: 0, end: 0 }],
  ])('%s', (_, part, span) => {
    expect(spanOf({ ...hundred, ...part }, 2)).toEqual(span);
  });
});

it('the end is the end, give or take the fractions that browsers report', () => {
  expect(endTop(hundred)).toBe(920);
  expect(isAtEnd({ ...hundred, top: 919.2 })).toBe(true);
  expect(isAtEnd({ ...hundred, top: 910 })).toBe(false);
  expect(isAtEnd({ ...hundred, count: 3 }), 'a short list is always at its end').toBe(true);
});

it('a row comes on screen with the least possible scrolling', () => {
  expect(topToReveal(50, hundred)).toBe(430);
  expect(topToReveal(5, hundred)).toBe(0);
  expect(topToReveal(5, { ...hundred, top: 300 })).toBe(70);
  expect(topToReveal(0, { ...hundred, top: 300 }), 'the first row comes with what is above it').toBe(0);
});

it('what is being read stays where it is when rows come in front of it', () => {
  const reading = { ...hundred, top: 333 };
  const { index, offset } = anchorOf(reading);
  const after = { ...reading, count: 150 };
  const top = topForAnchor(index + 50, offset, after);
  expect(top).toBe(333 + 500);
  expect(anchorOf({ ...after, top })).toEqual({ index: index + 50, offset });
});

it('what is being read stays at the very top, too', () => {
  const { index, offset } = anchorOf(hundred);
  expect(topForAnchor(index, offset, hundred)).toBe(0);
});
