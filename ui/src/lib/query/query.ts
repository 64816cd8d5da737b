// The query language: `tool:Bash,Edit -status:error dur:>5s session:3f0c project:shop some words`. The monitor
// reads the same language in `/api/events?query=`.

export const FIELDS = ['tool', 'status', 'dur', 'session', 'project', 'agent', 'kind', 'id'] as const;
export type Field = (typeof FIELDS)[number];

/** One `field:value,value`; any of the values will do. */
export interface Condition {
  field: Field;
  values: readonly string[];
  /** `-field:value`: what does not match passes. */
  negated: boolean;
}

/** A query taken apart. */
export interface Query {
  conditions: readonly Condition[];
  /** Everything else, as typed: each word must occur somewhere. */
  words: string;
}

export const STATUSES = ['error', 'ok'] as const;
/** The value of `agent` that means no subagent. */
export const MAIN = 'main';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TERM = /(?:"[^"]*"|[^\s"])+/g;

export function parseQuery(text: string): Query {
  const conditions: Condition[] = [];
  const words: string[] = [];
  for (const [term] of text.matchAll(TERM)) {
    const condition = conditionOf(term);
    if (condition) conditions.push(condition);
    else words.push(term);
  }
  return { conditions, words: words.join(' ') };
}

export function formatQuery({ conditions, words }: Query): string {
  return [...conditions.map(formatCondition), words.trim()].filter((part) => part !== '').join(' ');
}

export function formatCondition({ field, values, negated }: Condition): string {
  return `${negated ? '-' : ''}${field}:${values.map(quoted).join(',')}`;
}

/** The condition that a term is; nothing when it is a word. */
function conditionOf(term: string): Condition | undefined {
  const parts = /^(-?)([a-z]+):(.+)$/i.exec(term);
  const field = FIELDS.find((name) => name === parts?.[2]?.toLowerCase());
  if (parts === null || field === undefined) return undefined;
  const values = [...(parts[3] ?? '').matchAll(/"([^"]*)"|[^,"]+/g)].map(([all, inner]) => inner ?? all);
  return values.length === 0 ? undefined : { field, values, negated: parts[1] === '-' };
}

function quoted(value: string): string {
  return /[\s,"]/.test(value) ? `"${value.replaceAll('"', '')}"` : value;
}

/** Whether both ask the same. */
export function isSame(a: Condition, b: Condition): boolean {
  return formatCondition(a) === formatCondition(b);
}

/** The query with the condition when it lacked it, else without it. */
export function toggled(query: Query, condition: Condition): Query {
  const others = query.conditions.filter((other) => !isSame(other, condition));
  const conditions = others.length < query.conditions.length ? others : [...others, condition];
  return { ...query, conditions };
}

/** The query with this value alone for its field, or with none. */
export function withOnly(query: Query, field: Field, value: string | null): Query {
  const others = query.conditions.filter((other) => other.field !== field || other.negated);
  const conditions = value === null ? others : [...others, { field, values: [value], negated: false }];
  return { ...query, conditions };
}

/** The one value that the query wants of this field, if it is one. */
export function onlyValue({ conditions }: Query, field: Field): string | null {
  const wanted = conditions.filter((condition) => condition.field === field && !condition.negated);
  return wanted.length === 1 && wanted[0]?.values.length === 1 ? (wanted[0].values[0] ?? null) : null;
}

export interface Limit {
  longer: boolean;
  ms: number;
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `>5s`, `<200ms`; `5s` means at least that long. */
export function limitOf(value: string): Limit | undefined {
  const parts = /^([<>]?)=?(\d+(?:\.\d+)?)(ms|s|m|h)?$/i.exec(value);
  if (parts === null) return undefined;
  return { longer: parts[1] !== '<', ms: Number(parts[2]) * (UNITS[(parts[3] ?? 's').toLowerCase()] ?? 1) };
}

/** Whether the value means something for its field. */
export function isValid(field: Field, value: string): boolean {
  if (field === 'status') return STATUSES.some((name) => name === value.toLowerCase());
  if (field === 'id') return UUID.test(value);
  return field !== 'dur' || limitOf(value) !== undefined;
}
