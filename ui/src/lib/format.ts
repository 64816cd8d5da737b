// Numbers, times and names as people read them.
import type { Timestamp } from './protocol';

const integers = new Intl.NumberFormat('en');
const dates = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'long' });
const days = new Intl.DateTimeFormat('en-GB', {
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  year: 'numeric',
});

export function integer(value: number): string {
  return integers.format(value);
}

/** `14:03:09.042`, local time. */
export function clock(at: Timestamp): string {
  const date = new Date(at);
  const millis = String(date.getMilliseconds()).padStart(3, '0');
  return `${clockSeconds(at)}.${millis}`;
}

/** `14:03:09`, local time. */
export function clockSeconds(at: Timestamp): string {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((n) => String(n).padStart(2, '0'))
    .join(':');
}

/** `Sat, 21 Nov 2026`, local time. */
export function day(at: Timestamp): string {
  return days.format(at);
}

/** Date, time and zone in full. */
export function fullDate(at: Timestamp): string {
  return dates.format(at);
}

/** `840 ms`, `3.4 s`, `2 m 05 s`, `1 h 12 m`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${String(whole % 60).padStart(2, '0')} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} m`;
}

/** A long stretch of time in one unit: `11 min`, `3 h`. */
export function stretch(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  return minutes < 60 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/** `just now`, `4 min ago`, `3 h ago`, `12 d ago`. */
export function ago(at: Timestamp, now: Timestamp): string {
  const minutes = Math.floor((now - at) / 60_000);
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return `${Math.floor(minutes / (24 * 60))} d ago`;
}

export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  if (count < 1_000_000) return `${(count / 1000).toFixed(count < 10_000 ? 1 : 0)} kB`;
  return `${(count / 1_000_000).toFixed(1)} MB`;
}

/** The last part of a path, either kind of slash. */
export function baseName(path: string): string {
  return (
    path
      .replace(/[\\/]+$/, '')
      .split(/[\\/]/)
      .at(-1) ?? path
  );
}

/** The few characters by which people tell sessions of one project apart. */
export function shortId(id: string): string {
  return id.slice(0, 4);
}

/** `mcp__github__search_code` → `github search_code`, as the monitor's summaries spell it; others as they are. */
export function toolLabel(name: string): string {
  const mcp = /^mcp__(.+?)__(.+)$/.exec(name);
  return mcp ? `${mcp[1]} ${mcp[2]}` : name;
}
