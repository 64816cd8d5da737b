// The time window of a search: from when to when, or up to now.
import type { Timestamp } from '../protocol';

/** From when to when; without an end it goes on. */
export interface Window {
  from: Timestamp | null;
  to: Timestamp | null;
  /** So many milliseconds up to now, in place of `from`. */
  last: number | null;
}

export const ALL_TIME: Window = { from: null, to: null, last: null };

/** The window as times. */
export function timesOf({ from, to, last }: Window, now: Timestamp): { from?: Timestamp; to?: Timestamp } {
  const start = last === null ? from : Math.round(now - last);
  return { ...(start === null ? {} : { from: start }), ...(to === null ? {} : { to }) };
}
