// How many events arrive per second, over the last minute, and how long the monitor takes to hand them over.

const SECONDS = 60;
/** Of so many last messages it is known how old they were. */
const AGES = 500;

export class Rate {
  #current = 0;
  #ages: number[] = [];
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

  /** Takes the milliseconds between the arrival of an event at the monitor and here. */
  addAge(age: number): void {
    if (this.#ages.length === AGES) this.#ages.shift();
    this.#ages.push(Math.max(0, age));
  }

  /** Within how many milliseconds this share of the messages came; nothing before the first. */
  ageOf(share: number): number | undefined {
    const sorted = this.#ages.toSorted((a, b) => a - b);
    return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
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
