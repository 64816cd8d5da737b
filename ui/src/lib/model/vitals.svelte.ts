// How the monitor says it fares, and what time it is there.
import { createSubscriber } from 'svelte/reactivity';

import { fetchHealth, pauseCapture } from '../link/api';
import type { CaptureHealth, Health, Rebuild, Timestamp } from '../protocol';

const ASK_MS = 5000;
/** The same while something goes on that is soon over. */
const SOON_MS = 1000;
const TICK_MS = 1000;
/** Differences below this are the way to the monitor and back, not its clock. */
const SKEW_MIN_MS = 2000;

export class Vitals {
  #ask: () => Promise<Health>;
  #health = $state.raw<Health | null>(null);
  #skew = 0;
  /** Ticks each second, while anybody looks. */
  #ticks = createSubscriber((update) => {
    const timer = setInterval(update, TICK_MS);
    return () => clearInterval(timer);
  });

  constructor(ask: () => Promise<Health> = () => fetchHealth()) {
    this.#ask = ask;
  }

  /** What it said last; null before the first answer. */
  get health(): Health | null {
    return this.#health;
  }

  /** How many events could be neither handed over nor kept on disk, ever: they are lost. */
  readonly notSpooled: number = $derived(
    // A monitor of another version may not count them.
    (this.#health?.spool as Health['spool'] | undefined)?.refused ?? 0,
  );

  /** How far the monitor is with computing its sessions anew; null when it is not at it. */
  readonly rebuild: Rebuild | null = $derived(
    // A monitor of another version may not tell.
    (this.#health?.rebuild as Rebuild | null | undefined) ?? null,
  );

  /** Why hooks could keep no events now, and the way out; null while they could. */
  readonly spoolProblem: string | null = $derived(
    (this.#health?.spool as Health['spool'] | undefined)?.problem ?? null,
  );

  /** The pause in which events are not kept; null while they are. It ends by itself at its time. */
  get pause(): CaptureHealth | null {
    // A monitor of another version may not tell.
    const capture = this.#health?.capture as CaptureHealth | undefined;
    if (!capture?.paused) return null;
    return capture.until !== null && capture.until <= this.now ? null : capture;
  }

  /** Now, by the monitor's clock; in a component it goes on by itself. */
  get now(): Timestamp {
    this.#ticks();
    return Date.now() + this.#skew;
  }

  /** How far the monitor's clock is ahead of this browser's, in milliseconds; 0 when they agree. */
  get skew(): number {
    return this.#skew;
  }

  /** Asks now and then until the returned function is called. */
  run(): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const ask = async () => {
      await this.refresh();
      if (!isOver) timer = setTimeout(() => void ask(), this.rebuild === null ? ASK_MS : SOON_MS);
    };
    void ask();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }

  /** Keeps no events for some minutes, or goes on keeping them. */
  async pauseFor(minutes: number | null): Promise<void> {
    await pauseCapture(minutes);
    await this.refresh();
  }

  async refresh(): Promise<void> {
    try {
      const health = await this.#ask();
      const skew = Date.parse(health.timestamp) - Date.now();
      this.#skew = Math.abs(skew) >= SKEW_MIN_MS ? skew : 0;
      this.#health = health;
    } catch {
      // Whether the monitor answers at all is told elsewhere; what is known stays.
    }
  }
}
