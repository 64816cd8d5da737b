// The time axis of the waterfall: real time, but for long stretches in which nothing happened. These are folded
// into a short one.
import type { Timestamp } from '../protocol';

/** A stretch of the axis. `from` and `to` are times, `at` and `until` where they lie on the axis. */
export interface Stretch {
  from: Timestamp;
  to: Timestamp;
  at: number;
  until: number;
  folded: boolean;
}

export interface Busy {
  start: Timestamp;
  end: Timestamp;
}

/** Shorter pauses stay: they tell something. */
const FOLD_FROM_MS = 60_000;
/** A folded stretch takes this share of everything else, and at least a little. */
const FOLD_SHARE = 0.02;
const FOLD_MIN_MS = 1000;

export class Axis {
  readonly stretches: readonly Stretch[];

  /** `busy` in the order of their starts. */
  constructor(busy: readonly Busy[], from: Timestamp, to: Timestamp, folds = true) {
    const pauses = folds ? pausesOf(busy, from, to) : [];
    const quiet = pauses.reduce((sum, pause) => sum + pause.end - pause.start, 0);
    const width = Math.max(FOLD_MIN_MS, (to - from - quiet) * FOLD_SHARE);
    const stretches: Stretch[] = [];
    const push = (start: Timestamp, end: Timestamp, folded: boolean) => {
      const at = stretches.at(-1)?.until ?? 0;
      stretches.push({ from: start, to: end, at, until: at + (folded ? width : end - start), folded });
    };
    let time = from;
    for (const pause of pauses) {
      push(time, pause.start, false);
      push(pause.start, pause.end, true);
      time = pause.end;
    }
    push(time, Math.max(time + 1, to), false);
    this.stretches = stretches;
  }

  get length(): number {
    return this.stretches.at(-1)?.until ?? 1;
  }

  /** Where a time lies. */
  place(time: Timestamp): number {
    const found = this.#find((stretch) => time <= stretch.to);
    return found.at + ((time - found.from) / Math.max(1, found.to - found.from)) * (found.until - found.at);
  }

  /** The time at a place. */
  time(place: number): Timestamp {
    const found = this.#find((stretch) => place <= stretch.until);
    const share = (place - found.at) / Math.max(1e-9, found.until - found.at);
    return found.from + share * (found.to - found.from);
  }

  #find(isBefore: (stretch: Stretch) => boolean): Stretch {
    const { stretches } = this;
    let low = 0;
    let high = stretches.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(stretches[middle] as Stretch)) high = middle;
      else low = middle + 1;
    }
    return stretches[low] as Stretch;
  }
}

function pausesOf(busy: readonly Busy[], from: Timestamp, to: Timestamp): Busy[] {
  const pauses: Busy[] = [];
  let reached = from;
  for (const { start, end } of busy) {
    if (start - reached >= FOLD_FROM_MS) pauses.push({ start: reached, end: start });
    reached = Math.max(reached, end);
  }
  if (to - reached >= FOLD_FROM_MS) pauses.push({ start: reached, end: to });
  return pauses;
}

/** Round steps of time, so that about `count` of them cover `span` milliseconds. */
export function tickStep(span: number, count: number): number {
  const steps = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000,
    600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 21_600_000, 43_200_000, 86_400_000,
  ];
  return steps.find((step) => span / step <= count) ?? 86_400_000;
}
