import { describe, expect, it } from 'vitest';

import { csvCell, escapeHtml } from '../app/export';
import { blocksOf, diffLines } from './blocks';

const hook = (fields: object) => ({ hook_event_name: 'PostToolUse', ...fields });

describe('a payload as parts', () => {
  it('of a command with its output', () => {
    const payload = hook({
      tool_name: 'Bash',
      tool_input: { command: 'ls', description: 'List' },
      tool_response: { stdout: 'a\nb', stderr: 'warning', interrupted: false },
    });
    expect(blocksOf(payload)).toEqual([
      { type: 'command', text: 'ls', note: 'List' },
      { type: 'output', name: 'output', text: 'a\nb' },
      { type: 'output', name: 'errors', text: 'warning' },
    ]);
  });

  it('of an edit, by the patch when there is one', () => {
    const tool_input = { file_path: '/a.rs', old_string: 'one\ntwo', new_string: 'one\nthree' };
    expect(blocksOf(hook({ tool_name: 'Edit', tool_input }))).toEqual([
      {
        type: 'diff',
        path: '/a.rs',
        lines: [
          { sign: ' ', text: 'one' },
          { sign: '-', text: 'two' },
          { sign: '+', text: 'three' },
        ],
      },
    ]);
    const structuredPatch = [{ oldStart: 7, newStart: 7, lines: [' x', '-y', '+z'] }];
    const [patch] = blocksOf(hook({ tool_name: 'Edit', tool_input, tool_response: { structuredPatch } }));
    expect(patch).toMatchObject({ lines: [{ sign: '@' }, { text: 'x' }, { text: 'y' }, { text: 'z' }] });
  });

  it('of todos, prompts, failures and envelopes around them', () => {
    const todos = [{ content: 'Test', status: 'pending' }, { nonsense: true }];
    expect(blocksOf({ data: hook({ tool_name: 'TodoWrite', tool_input: { todos } }) })).toEqual([
      { type: 'todos', todos: [{ text: 'Test', status: 'pending' }] },
    ]);
    expect(blocksOf(hook({ prompt: 'hello', error: 'exit code 1' }))).toEqual([
      { type: 'text', name: 'prompt', text: 'hello' },
      { type: 'output', name: 'failure', text: 'exit code 1' },
    ]);
  });

  it.each([null, 7, 'text', [], {}, hook({ tool_name: 7, tool_input: 'x', tool_response: [1] })])(
    'of nothing that is known (%o) is none',
    (payload) => {
      expect(blocksOf(payload)).toEqual([]);
    },
  );
});

it('a diff leaves out what is the same at both ends, but for a little', () => {
  const before = Array.from({ length: 20 }, (_, at) => `line ${at}`);
  const after = before.with(10, 'other');
  const lines = diffLines(before.join('\n'), after.join('\n'));
  expect(lines.map(({ sign }) => sign).join('')).toBe('   -+   ');
});

describe('an export', () => {
  it.each([
    ['plain', 'plain'],
    ['a,"b"', '"a,""b"""'],
    ['=1+1', `"'=1+1"`],
    ['@cmd', `"'@cmd"`],
    ['two\nlines', '"two\nlines"'],
  ])('writes the cell %s', (value, cell) => {
    expect(csvCell(value)).toBe(cell);
  });

  it('has no markup from events', () => {
    expect(escapeHtml(`<img src=x onerror='a("b")'>&`)).toBe(
      '&lt;img src=x onerror=&#39;a(&quot;b&quot;)&#39;&gt;&amp;',
    );
  });
});
