// What a payload says, as parts for people: command and output, diff, todos, prompt. Anything unexpected is
// left to the raw view.

/** A part of the structured view of an event. All texts are as the payload has them. */
export type Block =
  | { type: 'command'; text: string; note?: string | undefined }
  | { type: 'output'; name: OutputName; text: string }
  | { type: 'text'; name: TextName; text: string }
  | { type: 'diff'; path: string; lines: readonly DiffLine[] }
  | { type: 'path'; path: string; note?: string | undefined }
  | { type: 'todos'; todos: readonly { text: string; status: string }[] };

export type OutputName = 'output' | 'errors' | 'failure' | 'content';
export type TextName = 'prompt' | 'message' | 'plan' | 'task' | 'pattern' | 'url' | 'question' | 'answer';

export interface DiffLine {
  sign: '+' | '-' | ' ' | '@';
  text: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** Envelopes stand around a hook's payload; none stands deeper. */
const DEPTH_MAX = 4;
/** Unchanged lines shown around a change. */
const CONTEXT = 3;
const DIFF_LINES_MAX = 2000;

/** The parts of an event, in reading order; empty when the raw view says it better. */
export function blocksOf(payload: unknown): Block[] {
  const hook = innermost(payload);
  if (hook === undefined) return [];
  const blocks: Block[] = [];
  const input = fieldsOf(hook['tool_input'] ?? hook['tool_parameters']);
  const name = textOf(hook['tool_name']);
  const response = hook['tool_response'] ?? hook['tool_output'];
  if (name !== undefined && input !== undefined) blocks.push(...inputBlocks(name, input, fieldsOf(response)));
  if (name !== undefined) blocks.push(...responseBlocks(name, response));
  pushText(blocks, 'prompt', hook['prompt']);
  pushText(blocks, 'message', hook['last_assistant_message'] ?? hook['message']);
  const failure = textOf(hook['error']);
  if (failure !== undefined) blocks.push({ type: 'output', name: 'failure', text: failure });
  return blocks;
}

function innermost(payload: unknown): Fields | undefined {
  let fields = fieldsOf(payload);
  for (let depth = 0; fields !== undefined && depth < DEPTH_MAX; depth += 1) {
    if ('hook_event_name' in fields || 'tool_input' in fields) return fields;
    const inner: Fields | undefined = fieldsOf(fields['data'] ?? fields['payload'] ?? fields['event']);
    if (inner === undefined) return fields;
    fields = inner;
  }
  return fields;
}

function inputBlocks(name: string, input: Fields, response: Fields | undefined): Block[] {
  const blocks: Block[] = [];
  const command = textOf(input['command']);
  const path = textOf(input['file_path'] ?? input['notebook_path'] ?? input['path']);
  if (command !== undefined) {
    blocks.push({ type: 'command', text: command, note: textOf(input['description']) });
  } else if (path !== undefined) {
    blocks.push(changeBlock(path, input, response) ?? pathBlock(path, input));
  }
  if (Array.isArray(input['todos'])) blocks.push({ type: 'todos', todos: todosOf(input['todos']) });
  if (Array.isArray(input['questions'])) {
    for (const question of input['questions']) pushText(blocks, 'question', fieldsOf(question)?.['question']);
  }
  pushText(blocks, 'pattern', input['pattern'] ?? input['query']);
  pushText(blocks, 'url', input['url']);
  pushText(blocks, 'plan', input['plan']);
  if (name === 'Agent' || name === 'Task' || name === 'WebFetch') pushText(blocks, 'task', input['prompt']);
  return blocks;
}

function pathBlock(path: string, input: Fields): Block {
  const [offset, limit] = [input['offset'], input['limit']];
  const note = offset === undefined && limit === undefined ? undefined : `${offset ?? 1} + ${limit ?? '…'}`;
  return { type: 'path', path, note };
}

function changeBlock(path: string, input: Fields, response: Fields | undefined): Block | undefined {
  const patch = response?.['structuredPatch'];
  if (Array.isArray(patch) && patch.length > 0) return { type: 'diff', path, lines: patchLines(patch) };
  const edits = Array.isArray(input['edits']) ? input['edits'] : [input];
  const lines = edits.flatMap((edit) => {
    const fields = fieldsOf(edit);
    const before = textOf(fields?.['old_string']);
    const after = textOf(fields?.['new_string'] ?? fields?.['content'] ?? fields?.['new_source']);
    return after === undefined ? [] : diffLines(before ?? '', after);
  });
  return lines.length === 0 ? undefined : { type: 'diff', path, lines: lines.slice(0, DIFF_LINES_MAX) };
}

function patchLines(patch: readonly unknown[]): DiffLine[] {
  return patch
    .flatMap((part): DiffLine[] => {
      const hunk = fieldsOf(part);
      const lines = Array.isArray(hunk?.['lines'])
        ? hunk['lines'].filter((line) => typeof line === 'string')
        : [];
      const head = `-${String(hunk?.['oldStart'] ?? '')} +${String(hunk?.['newStart'] ?? '')}`;
      return [{ sign: '@', text: head }, ...lines.map(patchLine)];
    })
    .slice(0, DIFF_LINES_MAX);
}

function patchLine(line: string): DiffLine {
  const sign = line[0];
  return sign === '+' || sign === '-' ? { sign, text: line.slice(1) } : { sign: ' ', text: line.slice(1) };
}

/** What is the same at both ends is left out but for a few lines; the rest went and came. */
export function diffLines(before: string, after: string): DiffLine[] {
  const [old, young] = [before === '' ? [] : before.split('\n'), after === '' ? [] : after.split('\n')];
  let head = 0;
  while (head < old.length && head < young.length && old[head] === young[head]) head += 1;
  let tail = 0;
  while (
    tail < old.length - head &&
    tail < young.length - head &&
    old[old.length - 1 - tail] === young[young.length - 1 - tail]
  )
    tail += 1;
  const signed = (sign: DiffLine['sign'], lines: readonly string[]) => lines.map((text) => ({ sign, text }));
  return [
    ...signed(' ', old.slice(Math.max(0, head - CONTEXT), head)),
    ...signed('-', old.slice(head, old.length - tail)),
    ...signed('+', young.slice(head, young.length - tail)),
    ...signed(' ', old.slice(old.length - tail, Math.min(old.length, old.length - tail + CONTEXT))),
  ];
}

function responseBlocks(name: string, response: unknown): Block[] {
  const blocks: Block[] = [];
  const whole = contentText(response);
  if (whole !== undefined) {
    blocks.push({ type: 'output', name: 'output', text: whole });
    return blocks;
  }
  const fields = fieldsOf(response);
  if (fields === undefined) return blocks;
  pushOutput(blocks, 'output', fields['stdout'] ?? fields['output']);
  pushOutput(blocks, 'errors', fields['stderr']);
  pushOutput(blocks, 'content', fieldsOf(fields['file'])?.['content']);
  if (Array.isArray(fields['filenames'])) {
    pushOutput(blocks, 'output', fields['filenames'].filter((path) => typeof path === 'string').join('\n'));
  }
  if (name === 'Agent' || name === 'Task' || name === 'Grep' || name === 'WebFetch') {
    pushOutput(
      blocks,
      name === 'Agent' || name === 'Task' ? 'content' : 'output',
      contentText(fields['content'] ?? fields['result']),
    );
  }
  const answers = fieldsOf(fields['answers']);
  if (answers !== undefined) pushText(blocks, 'answer', Object.values(answers).map(String).join('\n'));
  return blocks;
}

/** A text, or the texts of a list of content parts. */
function contentText(content: unknown): string | undefined {
  if (typeof content === 'string') return textOf(content);
  if (!Array.isArray(content)) return undefined;
  const texts = content.map((part) => textOf(fieldsOf(part)?.['text'])).filter((text) => text !== undefined);
  return texts.length === 0 ? undefined : texts.join('\n');
}

function todosOf(todos: readonly unknown[]): { text: string; status: string }[] {
  return todos.flatMap((todo) => {
    const fields = fieldsOf(todo);
    const text = textOf(fields?.['content'] ?? fields?.['subject']);
    return text === undefined ? [] : [{ text, status: textOf(fields?.['status']) ?? 'pending' }];
  });
}

function pushText(blocks: Block[], name: TextName, value: unknown): void {
  const text = textOf(value);
  if (text !== undefined) blocks.push({ type: 'text', name, text });
}

function pushOutput(blocks: Block[], name: OutputName, value: unknown): void {
  const text = textOf(value);
  if (text !== undefined) blocks.push({ type: 'output', name, text });
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** A text that is not blank. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
}
