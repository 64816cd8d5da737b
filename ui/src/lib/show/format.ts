// Numbers and times as people read them, in the language of the page.
import type { Timestamp } from '../protocol';
import { language } from './language';
import { texts } from './texts';

const locale = language === 'en' ? 'en-GB' : language;
const integers = new Intl.NumberFormat(language);
const dates = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'long' });
const days = new Intl.DateTimeFormat(locale, {
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  year: 'numeric',
});

/** Formatting a date costs more than drawing it, and a list has few days. */
const knownDays = new Map<number, string>();
const DAYS_MAX = 400;

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
  const date = new Date(at);
  const key = date.getFullYear() * 400 + date.getMonth() * 31 + date.getDate();
  let text = knownDays.get(key);
  if (text === undefined) {
    if (knownDays.size >= DAYS_MAX) knownDays.clear();
    text = days.format(at);
    knownDays.set(key, text);
  }
  return text;
}

/** Date, time and zone in full. */
export function fullDate(at: Timestamp): string {
  return dates.format(at);
}

/** `2026-11-21T14:03`, local time: what a `datetime-local` input holds. */
export function localMinute(at: Timestamp): string {
  const date = new Date(at);
  return new Date(at - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** `840 ms`, `3.4 s`, `2 m 05 s`, `1 h 12 m`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${String(whole % 60).padStart(2, '0')} s`;
  if (whole < 48 * 3600)
    return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} m`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** How long something goes on, without fractions that would flicker: `4 s`, `2 m 05 s`, `1 h 12 m`. */
export function since(ms: number): string {
  return ms < 60_000 ? `${Math.max(0, Math.floor(ms / 1000))} s` : duration(Math.floor(ms / 1000) * 1000);
}

/** A long stretch of time in one unit: `11 min`, `3 h`. */
export function stretch(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  return minutes < 60 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/** `just now`, `4 min ago`, `3 h ago`, `12 d ago`. */
export function ago(at: Timestamp, now: Timestamp): string {
  const minutes = Math.floor((now - at) / 60_000);
  if (minutes < 1) return texts.time.justNow;
  if (minutes < 60) return texts.time.minutesAgo(minutes);
  if (minutes < 24 * 60) return texts.time.hoursAgo(Math.floor(minutes / 60));
  return texts.time.daysAgo(Math.floor(minutes / (24 * 60)));
}

export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  if (count < 1_000_000) return `${(count / 1000).toFixed(count < 10_000 ? 1 : 0)} kB`;
  if (count < 1_000_000_000) return `${(count / 1_000_000).toFixed(1)} MB`;
  return `${(count / 1_000_000_000).toFixed(2)} GB`;
}

/** `0`, `3.4`, `212`: events a second. */
export function perSecond(rate: number): string {
  return rate === 0 || rate >= 10 ? integer(Math.round(rate)) : rate.toFixed(1);
}
