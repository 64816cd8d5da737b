import { describe, expect, it } from 'vitest';

import { isEmpty, matcher, narrows, NO_FILTER, type Filter } from './filter';
import { row } from './testing';

const bash = row(1, {
  summary: 'cargo test -p tax',
  tool_name: 'Bash',
  session_id: '3f0c2b9e',
  project: '/home/dev/shop',
  agent_type: 'Explore',
});
const filter = (fields: Partial<Filter>): Filter => ({ ...NO_FILTER, ...fields });

describe('a row matches', () => {
  it.each([
    ['any case', 'CARGO', true],
    ['all words, in any order and field', 'shop bash tax', true],
    ['not when one word is missing', 'cargo bench', false],
    ['its kind', 'pretool', true],
    ['its session', '3f0c', true],
    ['its agent', 'explore', true],
    ['blanks only', '   ', true],
    ['no word across two fields', 'taxpre', false],
  ])('%s', (_, text, passes) => {
    expect(matcher(filter({ text }))(bash)).toBe(passes);
  });

  it('only as a failure, when only failures are wanted', () => {
    expect(matcher(filter({ errors: true }))(bash)).toBe(false);
    expect(matcher(filter({ errors: true }))({ ...bash, is_error: true })).toBe(true);
  });

  it('only in the wanted session', () => {
    expect(matcher(filter({ session: '3f0c2b9e' }))(bash)).toBe(true);
    expect(matcher(filter({ session: '3f0c' }))(bash)).toBe(false);
  });
});

it('a filter of blanks is empty', () => {
  expect(isEmpty(filter({ text: ' ' }))).toBe(true);
  expect(isEmpty(filter({ errors: true }))).toBe(false);
});

it.each([
  [{ text: 'carg' }, { text: 'cargo' }, true],
  [{ text: 'cargo' }, { text: 'cargo test' }, true],
  [{ text: 'cargo' }, { text: 'carg' }, false],
  [{ text: 'a' }, { text: 'a', errors: true }, true],
  [{ errors: true }, {}, false],
  [{ session: 'x' }, { session: 'y' }, false],
  [{}, { session: 'y' }, true],
])('whether %o to %o only removes rows', (old, next, expected) => {
  expect(narrows(filter(next), filter(old))).toBe(expected);
});
