// The part of the address after `#`: the open event and the filter, so that a link shows the same.
import { NO_FILTER, type Filter } from './filter';
import type { Seq } from './protocol';

export interface Route {
  /** The event whose details are open. */
  event: Seq | null;
  filter: Filter;
}

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?', 2);
  const seq = /^\/event\/(\d{1,15})$/.exec(path)?.[1];
  const search = new URLSearchParams(query);
  return {
    event: seq === undefined ? null : Number(seq),
    filter: {
      text: search.get('q') ?? NO_FILTER.text,
      errors: search.get('errors') === '1',
      session: search.get('session') || null,
    },
  };
}

export function formatRoute({ event, filter }: Route): string {
  const search = new URLSearchParams();
  if (filter.text.trim() !== '') search.set('q', filter.text.trim());
  if (filter.errors) search.set('errors', '1');
  if (filter.session !== null) search.set('session', filter.session);
  const query = search.size > 0 ? `?${search}` : '';
  return event === null ? `#/${query}` : `#/event/${event}${query}`;
}
