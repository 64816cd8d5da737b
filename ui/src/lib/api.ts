// The server's HTTP routes that the dashboard uses.
import type { Page } from './events.svelte';
import type { ErrorBody, Health, Row, Seq, SessionId } from './protocol';

/** Largest answer about one event that is taken apart; of a larger one only the beginning is read. */
const BODY_BYTES_MAX = 2 * 1024 * 1024;
/** How much of a larger one is read. */
const PREFIX_BYTES = 200 * 1024;

/** A refusal of the server, or no answer at all (`code` is then `unreachable`). */
export class ApiError extends Error {
  readonly code: string;
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;

  constructor(code: string, message: string, status = 0) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** Which rows to ask for. */
export interface Query {
  after?: Seq;
  before?: Seq;
  limit?: number;
  session?: SessionId;
  error?: boolean;
  q?: string;
}

/** One event: whole, or the beginning of an answer too large to take apart. */
export type EventBody =
  { whole: true; row: Row; payload: unknown } | { whole: false; prefix: string; bytes: number | null };

/** Rows without payload, oldest first. */
export async function fetchRows(query: Query, signal?: AbortSignal): Promise<Page> {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) search.set(key, String(value));
  const response = await request(`/api/events?${search}`, signal ? { signal } : {});
  return (await response.json()) as Page;
}

/** One row, or nothing when there is no such event. */
export async function fetchRow(seq: Seq, signal?: AbortSignal): Promise<Row | undefined> {
  const page = await fetchRows({ after: seq - 1, before: seq + 1, limit: 1 }, signal);
  return page.events[0];
}

/** Where one event can be opened by itself. */
export function eventUrl(seq: Seq): string {
  return `/api/events/${seq}`;
}

/** One event with its payload. */
export async function fetchEvent(seq: Seq, signal: AbortSignal): Promise<EventBody> {
  const response = await request(eventUrl(seq), { signal });
  const { text, complete } = await readUpTo(response, BODY_BYTES_MAX);
  if (!complete) {
    const length = Number(response.headers.get('content-length'));
    return { whole: false, prefix: text.slice(0, PREFIX_BYTES), bytes: length > 0 ? length : null };
  }
  const { payload, ...row } = JSON.parse(text) as Row & { payload: unknown };
  return { whole: true, row, payload };
}

/** How the monitor fares. */
export async function fetchHealth(): Promise<Health> {
  const response = await request('/health', {});
  return (await response.json()) as Health;
}

/** Hands an event in, as a hook would. */
export async function postEvent(event: unknown): Promise<void> {
  await request('/api/events', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(event),
  });
}

async function request(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError('unreachable', 'the monitor did not answer');
  }
  if (response.ok) return response;
  const body = (await response.json().catch(() => ({}))) as Partial<ErrorBody>;
  throw new ApiError(
    body.code ?? `http_${response.status}`,
    body.message ?? `HTTP ${response.status}`,
    response.status,
  );
}

/** Reads until the end or until there is more than `bytesMax`; the rest is then not even transferred. */
async function readUpTo(response: Response, bytesMax: number): Promise<{ text: string; complete: boolean }> {
  if (response.body === null) return { text: await response.text(), complete: true };
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { text: text + decoder.decode(), complete: true };
    bytes += value.byteLength;
    text += decoder.decode(value, { stream: true });
    if (bytes > bytesMax) {
      await reader.cancel();
      return { text, complete: false };
    }
  }
}
