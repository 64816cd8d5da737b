import { describe, expect, it } from 'vitest';

import { icons } from '../components/icons';
import { texts } from '../lib/texts';
import { row } from '../lib/testing';
import { lookOf } from './kinds';

describe('the look of a row', () => {
  it.each(Object.keys(texts.kinds))('is its own for %s', (kind) => {
    const look = lookOf(row(1, { kind }));
    expect(look.icon).not.toBe('dot');
    expect(icons[look.icon]).toBeTruthy();
    expect(look.label).toBe(texts.kinds[kind as keyof typeof texts.kinds]);
  });

  it('of an unknown kind is plain and shows its name', () => {
    expect(lookOf(row(1, { kind: 'deploy.finished' }))).toEqual({
      icon: 'dot',
      tone: 'plain',
      label: 'deploy.finished',
    });
  });

  it('of a tool call shows the tool', () => {
    expect(lookOf(row(1, { kind: 'PostToolUse', tool_name: 'Bash' })).label).toBe('Bash');
    expect(lookOf(row(1, { kind: 'PermissionRequest', tool_name: 'Bash' })).label).toBe('Permission');
  });

  it('of a failure is one in shape and colour, whatever its kind', () => {
    expect(lookOf(row(1, { kind: 'never.seen', is_error: true }))).toMatchObject({
      tone: 'bad',
      icon: 'cross',
    });
  });
});
