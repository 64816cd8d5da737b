import { expect, it } from 'vitest';

import { en } from './texts/en';
import { zhCN } from './texts/zh-cn';

it('every language says something for every text', () => {
  const empty = (texts: object): string[] =>
    Object.entries(texts).flatMap(([key, value]) =>
      typeof value === 'object' && value !== null ? empty(value) : value === '' ? [key] : [],
    );
  expect(empty(en)).toEqual([]);
  expect(empty(zhCN)).toEqual([]);
});
