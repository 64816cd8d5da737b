import { expect, it } from 'vitest';

import { row, rows, seqs } from '../testing';
import { merge } from './sorted';

it('merging keeps order and the older of two rows at one place', () => {
  const old = [row(1), row(3, { summary: 'old' }), row(5)];
  const merged = merge(old, [row(0), ...rows(2, 4, { summary: 'new' }), row(9)]);
  expect(seqs(merged)).toEqual([0, 1, 2, 3, 4, 5, 9]);
  expect(merged[3]?.summary).toBe('old');
});
