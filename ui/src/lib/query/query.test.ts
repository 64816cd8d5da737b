import { describe, expect, it } from 'vitest';

import { row } from '../testing';
import { accept, lastTerm, offersFor } from './completion';
import { countFacets } from './facets';
import { formatQuery, isValid, limitOf, onlyValue, parseQuery, toggled, withOnly } from './query';

describe('a query', () => {
  it.each([
    ['tool:Bash status:error dur:>5s some words', 'tool:Bash status:error dur:>5s some words'],
    ['  some   TOOL:Bash,Edit  words ', 'tool:Bash,Edit some words'],
    ['-kind:Stop project:"my shop"', '-kind:Stop project:"my shop"'],
    ['http://x foo:bar tool:', 'http://x foo:bar tool:'],
    ['"two words" tool:a', 'tool:a "two words"'],
  ])('%s is written as %s', (text, written) => {
    expect(formatQuery(parseQuery(text))).toBe(written);
    expect(formatQuery(parseQuery(written))).toBe(written);
  });

  it('takes a condition in and out', () => {
    const errors = { field: 'status', values: ['error'], negated: false } as const;
    const once = toggled(parseQuery('tax'), errors);
    expect(formatQuery(once)).toBe('status:error tax');
    expect(formatQuery(toggled(once, errors))).toBe('tax');
  });

  it('has one value of a field, or none', () => {
    const query = withOnly(parseQuery('session:a tax'), 'session', 'b');
    expect(formatQuery(query)).toBe('session:b tax');
    expect(onlyValue(query, 'session')).toBe('b');
    expect(onlyValue(withOnly(query, 'session', null), 'session')).toBeNull();
  });

  it.each([
    ['>5s', { longer: true, ms: 5000 }],
    ['<200ms', { longer: false, ms: 200 }],
    ['1.5m', { longer: true, ms: 90_000 }],
    ['>=2', { longer: true, ms: 2000 }],
    ['soon', undefined],
  ])('reads the duration %s', (value, limit) => {
    expect(limitOf(value)).toEqual(limit);
    expect(isValid('dur', value)).toBe(limit !== undefined);
  });
});

describe('completion', () => {
  const hints = { tool: '', status: '', dur: '', session: '', project: '', agent: '', kind: '', id: '' };
  const rows = [
    row(1, { tool_name: 'Bash', session_id: '3f0c', project: '/w/my shop' }),
    row(2, { tool_name: 'Bash', session_id: '3f0c', project: '/w/my shop' }),
    row(3, { tool_name: 'Edit' }),
  ];
  const offers = async (draft: string) =>
    offersFor(draft, await countFacets(rows, new AbortController().signal), hints).map(({ term }) => term);

  it('offers fields, then their values, the most frequent first', async () => {
    expect(await offers('cargo s')).toEqual(['status:', 'session:']);
    expect(await offers('tool:')).toEqual(['tool:Bash', 'tool:Edit']);
    expect(await offers('-tool:ed')).toEqual(['-tool:Edit']);
    expect(await offers('tool:Bash,e')).toEqual(['tool:Bash,Edit']);
    expect(await offers('project:')).toEqual(['project:"my shop"']);
    expect(await offers('session:shop')).toEqual(['session:3f0c']);
    expect(await offers('zzz')).toEqual([]);
  });

  it('replaces the last term and goes on', () => {
    const offer = { term: 'tool:Bash', label: '', hint: '', complete: true };
    expect(accept('cargo to', offer)).toBe('cargo tool:Bash ');
    expect(lastTerm('a project:"my sh')).toBe('project:"my sh');
    expect(lastTerm('a ')).toBe('');
  });
});

it('counting stops when it is told to', async () => {
  const abort = new AbortController();
  abort.abort();
  expect(await countFacets([row(1)], abort.signal)).toBeUndefined();
});
