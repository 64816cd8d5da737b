// Which loaded rows a query lets pass.
import type { Row } from '../protocol';
import { isValid, limitOf, MAIN, type Condition, type Query } from './query';

type Test = (row: Row) => boolean;

/** Whether the query lets everything pass. */
export function isEmpty({ conditions, words }: Query): boolean {
  return conditions.length === 0 && wordsOf(words).length === 0;
}

/** The test of one row. Made once for a query and asked a hundred thousand times. */
export function matcher({ conditions, words }: Query): Test {
  const tests = [...conditions.map(conditionTest), ...wordsOf(words).map(wordTest)];
  const [first, second] = tests;
  if (first === undefined) return () => true;
  if (second === undefined) return first;
  return (row) => tests.every((test) => test(row));
}

/** The words of a text; what stands in double quotes is one. */
export function wordsOf(text: string): string[] {
  const words = [...text.matchAll(/"([^"]*)"|[^\s"]+/g)].map(([all, inner]) => inner ?? all);
  return words.filter((word) => word.trim() !== '');
}

/** Whether everything that `next` lets pass also passes `old`, so that only rows already shown need a test. */
export function narrows(next: Query, old: Query): boolean {
  const key = (condition: Condition) => JSON.stringify(condition);
  const kept = new Set(next.conditions.map(key));
  if (!old.conditions.every((condition) => kept.has(key(condition)))) return false;
  const words = wordsOf(next.words).map((word) => word.toLowerCase());
  return wordsOf(old.words).every((part) => words.some((word) => word.includes(part.toLowerCase())));
}

function conditionTest({ field, values, negated }: Condition): Test {
  const known = values.filter((value) => isValid(field, value));
  // What means nothing must not hide everything; its chip says what is wrong.
  if (known.length === 0) return () => true;
  const tests = known.map((value) => valueTest(field, value));
  const any: Test = tests.length === 1 ? (tests[0] as Test) : (row) => tests.some((test) => test(row));
  return negated ? (row) => !any(row) : any;
}

function valueTest(field: Condition['field'], value: string): Test {
  const wanted = value.toLowerCase();
  if (field === 'status') return wanted === 'error' ? (row) => row.is_error : (row) => !row.is_error;
  if (field === 'dur') return durationTest(value);
  if (field === 'agent') return agentTest(wanted);
  if (field === 'id') return (row) => row.id === wanted;
  if (field === 'session')
    return remembered(
      (row) => row.session_id,
      (id) => id.startsWith(wanted),
    );
  if (field === 'project')
    return remembered(
      (row) => row.project,
      (path) => isProject(path, wanted),
    );
  const isWanted = pattern(wanted);
  return remembered(field === 'tool' ? (row) => row.tool_name : (row) => row.kind, isWanted);
}

function durationTest(value: string): Test {
  const { longer, ms } = limitOf(value) ?? { longer: true, ms: 0 };
  return longer
    ? (row) => row.duration_ms !== undefined && row.duration_ms >= ms
    : (row) => row.duration_ms !== undefined && row.duration_ms < ms;
}

function agentTest(wanted: string): Test {
  if (wanted === MAIN) return (row) => row.agent_id === undefined;
  const isWanted = pattern(wanted);
  const byType = remembered((row) => row.agent_type, isWanted);
  const byId = remembered((row) => row.agent_id, isWanted);
  return (row) => byType(row) || byId(row);
}

/** The folder's name, its whole path, or a folder above it. */
function isProject(path: string, wanted: string): boolean {
  const slashes = path.replaceAll('\\', '/').replace(/\/+$/, '');
  const folder = wanted.replaceAll('\\', '/').replace(/\/+$/, '');
  return slashes.endsWith(`/${folder}`) || `${slashes}/`.startsWith(`${folder}/`) || pattern(wanted)(slashes);
}

/** Equality, with `*` for anything. */
function pattern(wanted: string): (value: string) => boolean {
  if (!wanted.includes('*')) return (value) => value === wanted;
  const source = wanted.split('*').map(escaped).join('.*');
  const whole = new RegExp(`^${source}$`, 's');
  return (value) => whole.test(value);
}

/** A few values stand for a hundred thousand rows, so each is tested once. */
function remembered(field: (row: Row) => string | undefined, test: (value: string) => boolean): Test {
  const answers = new Map<string, boolean>();
  return (row) => {
    const value = field(row);
    if (value === undefined) return false;
    let answer = answers.get(value);
    if (answer === undefined) {
      answer = test(value.toLowerCase());
      answers.set(value, answer);
    }
    return answer;
  };
}

/** Somewhere in the summary or in one of the names. A pattern without case costs less than lower-case copies. */
function wordTest(word: string): Test {
  const occurs = new RegExp(escaped(word), 'i');
  const lower = word.toLowerCase();
  const inName = (value: string) => value.includes(lower);
  const names = [
    remembered((row) => row.kind, inName),
    remembered((row) => row.tool_name, inName),
    remembered((row) => row.session_id, inName),
    remembered((row) => row.project, inName),
    remembered((row) => row.agent_type, inName),
    remembered((row) => row.agent_id, inName),
  ];
  return (row) =>
    occurs.test(row.summary) ||
    names.some((test) => test(row)) ||
    (row.tool_use_id !== undefined && row.tool_use_id.toLowerCase().includes(lower));
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
