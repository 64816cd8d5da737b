import { describe, expect, it } from 'vitest';

import { row } from '../testing';
import { isEmpty, matcher, narrows } from './filter';
import { parseQuery } from './query';

const bash = row(1, {
  id: '0198f9a0-0000-7000-8000-000000000001',
  summary: 'cargo test -p tax',
  tool_name: 'Bash',
  session_id: '3f0c2b9e',
  project: '/home/dev/shop',
  agent_id: 'a1',
  agent_type: 'Explore',
  duration_ms: 6000,
});
const passes = (query: string) => matcher(parseQuery(query))(bash);

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
    ['words in quotes as they stand', '"test -p"', true],
    ['not when they stand otherwise', '"-p test"', false],
    ['what would be a pattern elsewhere', 'tax.*', false],
    ['its tool', 'tool:bash', true],
    ['one of several tools', 'tool:Edit,Bash', true],
    ['a tool by its beginning', 'tool:ba*', true],
    ['not a part of a tool', 'tool:bas', false],
    ['not what is excluded', '-tool:Bash', false],
    ['the outcome', 'status:ok', true],
    ['not the other outcome', 'status:error', false],
    ['the beginning of its session', 'session:3f0c', true],
    ['the name of its project', 'project:shop', true],
    ['a folder above', 'project:/home', true],
    ['not a part of a folder', 'project:sho', false],
    ['its agent by type', 'agent:explore', true],
    ['not the main thread', 'agent:main', false],
    ['its id', 'id:0198F9A0-0000-7000-8000-000000000001', true],
    ['not another id', 'id:0198f9a0-0000-7000-8000-000000000002', false],
    ['an id that is none', 'id:0198', true],
    ['a longer duration', 'dur:>5s', true],
    ['not a shorter one', 'dur:<5000ms', false],
    ['conditions and words', 'tool:Bash dur:>1s cargo', true],
    ['a condition that means nothing', 'status:maybe', true],
    ['several conditions only together', 'tool:Bash status:error', false],
  ])('%s (%s)', (_, query, expected) => {
    expect(passes(query)).toBe(expected);
  });
});

it('a query of blanks is empty', () => {
  expect(isEmpty(parseQuery(' '))).toBe(true);
  expect(isEmpty(parseQuery('status:error'))).toBe(false);
});

it.each([
  ['carg', 'cargo', true],
  ['cargo', 'cargo test', true],
  ['cargo', 'carg', false],
  ['a', 'status:error a', true],
  ['status:error', '', false],
  ['session:x', 'session:y', false],
  ['', 'session:y', true],
])('whether "%s" to "%s" only removes rows', (old, next, expected) => {
  expect(narrows(parseQuery(next), parseQuery(old))).toBe(expected);
});
