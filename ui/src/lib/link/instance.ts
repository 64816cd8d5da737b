// Which monitor this page shows: its own, or another one of this user, which the page's own passes on.

/** The port of that other monitor; null for the page's own. */
export const instance: number | null = portOf(globalThis.location?.search ?? '');

/** What stands before the routes of the monitor that is shown. */
export const BASE = instance === null ? '' : `/instances/${instance}`;

/** This page about a monitor of this user; null for its own. */
export function pageOf(port: number | null, hash = '#/overview'): string {
  return `/${port === null ? '' : `?instance=${port}`}${hash}`;
}

/** The port that a page's address names. */
export function portOf(search: string): number | null {
  const text = new URLSearchParams(search).get('instance') ?? '';
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : null;
}
