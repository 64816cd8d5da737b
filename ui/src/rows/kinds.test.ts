import { describe, expect, it } from 'vitest';

import { icons } from '../components/icons';
import { texts } from '../lib/show/texts';
import { row } from '../lib/testing';
import { detailsOf, lookOf } from './kinds';

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
    expect(lookOf(row(1, { kind: 'PermissionRequest', tool_name: 'Bash' })).label).toBe('Needs permission');
  });

  it('of what Claude Code tells itself is no prompt', () => {
    const notice = lookOf(row(1, { kind: 'UserPromptSubmit', summary: 'Notice  Agent "A" completed' }));
    expect(notice).toMatchObject({ label: 'Notice', tone: 'quiet' });
  });

  it('of a failure is one in shape and colour, whatever its kind', () => {
    expect(lookOf(row(1, { kind: 'never.seen', is_error: true }))).toMatchObject({
      tone: 'bad',
      icon: 'cross',
    });
  });
});

describe('what the summary adds', () => {
  it.each([
    [
      'a tool call',
      { kind: 'PostToolUse', tool_name: 'Bash', summary: 'Bash  npm test  → 2 passed' },
      ['npm test', '→ 2 passed'],
    ],
    ['an MCP tool', { tool_name: 'mcp__tracker__add', summary: 'tracker add  #1' }, ['#1']],
    ['a prompt', { kind: 'UserPromptSubmit', summary: 'Prompt  Why?' }, ['Why?']],
    [
      'a notice',
      { kind: 'UserPromptSubmit', summary: 'Notice  Agent "A" completed' },
      ['Agent "A" completed'],
    ],
    ['a permission', { kind: 'PermissionRequest', summary: 'Needs permission  Bash  ls' }, ['Bash', 'ls']],
    ['an agent', { kind: 'SubagentStop', agent_type: 'Plan', summary: 'Plan  finished  Done.' }, ['Done.']],
    ['a session', { kind: 'SessionStart', summary: 'Session resumed  sonnet' }, ['sonnet']],
    ['an unknown kind', { kind: 'deploy', summary: 'deploy  build 7' }, ['build 7']],
    ['a plain sentence', { kind: 'Notification', summary: 'Claude waits' }, ['Claude waits']],
    ['nothing', { kind: 'Stop', summary: 'Turn ended' }, []],
  ])('to the label of %s', (_, fields, parts) => {
    expect(detailsOf(row(1, fields))).toEqual(parts);
  });

  it('to a session that goes on is its label', () => {
    expect(lookOf(row(1, { kind: 'SessionStart', summary: 'Session resumed  sonnet' })).label).toBe(
      'Session resumed',
    );
  });
});
