// What the monitor says is lost for good: events that a hook could neither hand over nor keep on disk.
import { fetchHealth } from './api';
import type { Health } from './protocol';

/** How often to ask; such a loss is rare, and nobody can undo it. */
const ASK_MS = 60_000;

export class Losses {
  #ask: () => Promise<Health>;
  #notSpooled = $state(0);

  constructor(ask: () => Promise<Health> = fetchHealth) {
    this.#ask = ask;
  }

  /** How many events could not be spooled, ever. */
  get notSpooled(): number {
    return this.#notSpooled;
  }

  /** Asks now and each minute until the returned function is called. */
  run(): () => void {
    void this.#refresh();
    const timer = setInterval(() => void this.#refresh(), ASK_MS);
    return () => clearInterval(timer);
  }

  async #refresh(): Promise<void> {
    try {
      const { spool } = await this.#ask();
      // A monitor of another version may not count them.
      this.#notSpooled = (spool as Health['spool'] | undefined)?.refused ?? 0;
    } catch {
      // Whether the monitor answers at all is told elsewhere; what is known stays.
    }
  }
}
