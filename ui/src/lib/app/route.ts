// The part of the address after `#`: view, session, query, time window and the open event, so that a link
// shows the same.
import type { Seq, SessionId } from '../protocol';
import { ALL_TIME, type Window } from '../query/timewindow';

export const VIEWS = [
  'overview',
  'stream',
  'history',
  'activity',
  'metrics',
  'connections',
  'settings',
  'session',
] as const;
export type View = (typeof VIEWS)[number];

export interface Route {
  view: View;
  /** The session of the session view. */
  session: SessionId | null;
  /** The event whose details are open. */
  event: Seq | null;
  query: string;
  /** The time window: absolute, or up to now as `1h`. */
  window: Window;
}

export const HOME: Route = { view: 'overview', session: null, event: null, query: '', window: ALL_TIME };

export function parseRoute(hash: string): Route {
  const [path = '', search = ''] = hash.replace(/^#/, '').split('?', 2);
  const [, name = '', id = ''] = path.split('/', 3);
  const query = new URLSearchParams(search);
  const known = VIEWS.find((view) => view === name) ?? HOME.view;
  const session = known === 'session' ? decoded(id) : '';
  const event = numberOf(query.get('event'));
  return {
    view: known === 'session' && session === '' ? HOME.view : known,
    session: session === '' ? null : session,
    event: event === 0 ? null : event,
    query: query.get('q') ?? '',
    window: {
      from: numberOf(query.get('from')),
      to: numberOf(query.get('to')),
      last: numberOf(query.get('last')),
    },
  };
}

export function formatRoute({ view, session, event, query, window }: Route): string {
  const search = new URLSearchParams();
  if (query.trim() !== '') search.set('q', query.trim());
  for (const key of ['from', 'to', 'last'] as const) {
    if (window[key] !== null) search.set(key, String(window[key]));
  }
  if (event !== null) search.set('event', String(event));
  const path = view === 'session' && session !== null ? `session/${encodeURIComponent(session)}` : view;
  return `#/${path}${search.size > 0 ? `?${search}` : ''}`;
}

function numberOf(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
