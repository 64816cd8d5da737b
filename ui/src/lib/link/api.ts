// The server's HTTP routes that the dashboard uses.
import type {
  ClientInfo,
  Configuration,
  ErrorBody,
  Figures,
  Health,
  Hooks,
  HooksOrder,
  Instance,
  LegacyServer,
  Row,
  Seq,
  Session,
  SessionCounts,
  SessionDetail,
  SessionId,
  Timestamp,
} from '../protocol';
import { countsOf } from './counts';
import { BASE } from './instance';
import { Measurements } from './prometheus';

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
export interface RowsQuery {
  after?: Seq | undefined;
  before?: Seq;
  limit?: number | undefined;
  session?: SessionId;
  /** In the query language of the page. */
  query?: string;
  from?: Timestamp;
  to?: Timestamp;
  /** Seconds to wait for news. */
  wait?: number;
  /** Whether the monitor masks what looks like a secret. */
  masked?: boolean;
  /** Whether the poorer deliveries of one hook are asked for as well. */
  duplicates?: boolean;
}

/** A monitor of this user, as the page's own one sees it. */
export interface Neighbour extends Instance {
  /** Whether it is the page's own. */
  isOwn: boolean;
  /** What its sessions do; nothing when it did not tell. */
  told: SessionList | null;
}

/** The most recently active sessions, and how many there are in all. */
export interface SessionList {
  sessions: Session[];
  counts: SessionCounts;
}

function listOf({ sessions, counts }: Pick<SessionList, 'sessions'> & Partial<SessionList>): SessionList {
  // A monitor of another version may not count them.
  return { sessions, counts: counts ?? countsOf(sessions) };
}

/** Rows from the server, oldest first. */
export interface Page {
  events: Row[];
  has_more: boolean;
  /** Up to where the answer is complete. */
  position?: Seq;
  /** Which store it comes from. */
  epoch?: string;
  /** The monitor ends: nothing more comes from it. */
  ending?: { reason: string };
}

/** Rows with what their senders sent. */
export interface WholePage {
  events: (Row & { payload: unknown })[];
  has_more: boolean;
}

/** The part of `/stats` that the page shows. */
export interface Stats {
  events: { not_delivered: number };
}

/** One event: whole, or the beginning of an answer too large to take apart. */
export type EventBody = {
  /** Whether the monitor put `MASK` in a secret's place. */
  hides: boolean;
} & ({ whole: true; row: Row; payload: unknown } | { whole: false; prefix: string; bytes: number | null });

/** What the monitor writes in place of a secret. */
const MASK = '[masked]';

/** Rows without payload, oldest first. */
export async function fetchRows(query: RowsQuery, signal?: AbortSignal): Promise<Page> {
  const response = await request(`/api/events?${searchOf(query)}`, signal ? { signal } : {});
  return (await response.json()) as Page;
}

/** Rows with their payloads, oldest first. */
export async function fetchWhole(query: RowsQuery, signal: AbortSignal): Promise<WholePage> {
  const response = await request(`/api/events?payload=true&${searchOf(query)}`, { signal });
  return (await response.json()) as WholePage;
}

/** Figures over all stored events that match. */
export async function fetchFigures(
  query: Pick<RowsQuery, 'query' | 'from' | 'to'>,
  signal?: AbortSignal,
): Promise<Figures> {
  const response = await request(`/api/figures?${searchOf(query)}`, signal ? { signal } : {});
  return (await response.json()) as Figures;
}

/** Who is connected to the monitor. */
export async function fetchClients(): Promise<ClientInfo[]> {
  return ((await (await request('/status', {})).json()) as { clients: ClientInfo[] }).clients;
}

/** This user's monitors, and what the sessions of each do when there are several. */
export async function fetchNeighbours(): Promise<Neighbour[]> {
  const ask = async <T>(url: string) => (await (await requestOwn(url, {})).json()) as T;
  const [all, own] = await Promise.all([ask<Instance[]>('/api/instances'), ask<Health>('/health')]);
  const sessionsOf = ({ port }: Instance) =>
    ask<SessionList>(`/instances/${port}/api/sessions`).then(listOf, () => null);
  return Promise.all(
    all.map(async (instance) => ({
      ...instance,
      isOwn: instance.server_id === own.server_id,
      told: all.length > 1 ? await sessionsOf(instance) : null,
    })),
  );
}

/** Orders a monitor of this user to stop, or to start again on its port. */
export async function order(port: number, what: 'stop' | 'restart'): Promise<void> {
  await requestOwn(`/api/instances/${port}/${what}`, { method: 'POST' });
}

/** Pauses the keeping of events of the page's own monitor for some minutes, or goes on with it. */
export async function pauseCapture(minutes: number | null): Promise<void> {
  const body = minutes === null ? { paused: false } : { paused: true, minutes };
  await requestOwn('/api/capture', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

/** What the monitor runs with. */
export async function fetchConfiguration(): Promise<Configuration> {
  return (await (await request('/api/settings', {})).json()) as Configuration;
}

export async function fetchSessions(signal?: AbortSignal): Promise<SessionList> {
  const response = await request('/api/sessions', signal ? { signal } : {});
  return listOf((await response.json()) as SessionList);
}

/** What the page's own monitor measures of itself. */
export async function fetchMeasurements(): Promise<Measurements> {
  return new Measurements(await (await requestOwn('/metrics', {})).text());
}

/** claude-mpm's own servers on this machine. */
export async function fetchLegacy(): Promise<LegacyServer[]> {
  return (await (await requestOwn('/api/legacy', {})).json()) as LegacyServer[];
}

/** Counters of the monitor, as it tells them to any program. */
export async function fetchStats(): Promise<Stats> {
  return (await (await request('/stats', {})).json()) as Stats;
}

/** One row, or nothing when there is no such event. */
export async function fetchRow(seq: Seq, masked: boolean, signal?: AbortSignal): Promise<Row | undefined> {
  const query = { after: seq - 1, before: seq + 1, limit: 1, duplicates: true, masked };
  const page = await fetchRows(query, signal);
  return page.events[0];
}

/** Where one event can be opened by itself. */
export function eventUrl(seq: Seq, masked: boolean): string {
  return `${BASE}${eventRoute(seq, masked)}`;
}

const eventRoute = (seq: Seq, masked: boolean) => `/api/events/${seq}${masked ? '?masked=true' : ''}`;

/** One event with its payload, as it was sent or without what looks like a secret. */
export async function fetchEvent(seq: Seq, masked: boolean, signal: AbortSignal): Promise<EventBody> {
  const response = await request(eventRoute(seq, masked), { signal });
  const { text, complete } = await readUpTo(response, BODY_BYTES_MAX);
  const hides = masked && text.includes(MASK);
  if (!complete) {
    const length = Number(response.headers.get('content-length'));
    return { whole: false, hides, prefix: text.slice(0, PREFIX_BYTES), bytes: length > 0 ? length : null };
  }
  const { payload, ...row } = JSON.parse(text) as Row & { payload: unknown };
  return { whole: true, hides, row, payload };
}

/** How the monitor fares. */
export async function fetchHealth(signal?: AbortSignal): Promise<Health> {
  const response = await request('/health', signal ? { signal } : {});
  return (await response.json()) as Health;
}

/** One session in full, as it is now, or as its events up to a position tell it. */
export async function fetchSession(id: SessionId, signal?: AbortSignal, at?: Seq): Promise<SessionDetail> {
  const route = `/api/sessions/${encodeURIComponent(id)}${at === undefined ? '' : `?at=${at}`}`;
  const response = await request(route, signal ? { signal } : {});
  return (await response.json()) as SessionDetail;
}

/** Says that somebody has seen the session. */
export async function markRead(id: SessionId): Promise<void> {
  await request(`/api/sessions/${encodeURIComponent(id)}/read`, { method: 'POST' });
}

/** Hands an event in, as a hook would. */
export async function postEvent(event: unknown): Promise<void> {
  await request('/api/events', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(event),
  });
}

/** Our hooks in Claude Code's settings, and what an install or uninstall would change. */
export async function fetchHooks(): Promise<Hooks> {
  return (await (await request('/api/hooks', {})).json()) as Hooks;
}

/** Makes a change of hooks that was shown; answers how they fare afterwards. */
export async function changeHooks(order: HooksOrder): Promise<Hooks> {
  const response = await request('/api/hooks', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(order),
  });
  return (await response.json()) as Hooks;
}

function searchOf(query: object): URLSearchParams {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') search.set(key, String(value));
  }
  return search;
}

/** Asks the monitor that is shown. */
function request(route: string, init: RequestInit): Promise<Response> {
  return requestOwn(`${BASE}${route}`, init);
}

/** Asks the page's own monitor. */
async function requestOwn(url: string, init: RequestInit): Promise<Response> {
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
