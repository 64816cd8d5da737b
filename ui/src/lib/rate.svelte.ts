// How many events arrive per second, over the last minute.

const SECONDS = 60;

export class Rate {
  #current = 0;
  #counts = $state.raw<readonly number[]>(new Array<number>(SECONDS).fill(0));

  /** Events of each of the last 60 whole seconds, oldest first. */
  get counts(): readonly number[] {
    return this.#counts;
  }

  /** Events per second over the last 5 seconds. */
  readonly perSecond: number = $derived(this.#counts.slice(-5).reduce((sum, count) => sum + count, 0) / 5);

  add(events: number): void {
    this.#current += events;
  }

  /** Closes a second. */
  tick(): void {
    this.#counts = [...this.#counts.slice(1), this.#current];
    this.#current = 0;
  }

  /** Closes each second until the returned function is called. */
  run(): () => void {
    const timer = setInterval(() => this.tick(), 1000);
    return () => clearInterval(timer);
  }
}
