// The event whose details are open: its row, its payload, and how loading them fares.
import { ApiError, fetchEvent, fetchRow, type EventBody } from './api';
import type { Row, Seq } from './protocol';

/** Moving through the list with a held key must not ask the server for every event passed. */
const SETTLE_MS = 60;

export type Load =
  | { state: 'loading' }
  | { state: 'missing' }
  | { state: 'unstored' }
  | { state: 'failed'; message: string }
  | { state: 'ready'; body: EventBody };

export class Details {
  #find: (seq: Seq) => Row | undefined;
  #abort: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #seq = $state<Seq | null>(null);
  #row = $state.raw<Row | null>(null);
  #load = $state.raw<Load>({ state: 'loading' });

  constructor(find: (seq: Seq) => Row | undefined) {
    this.#find = find;
  }

  /** Position of the open event, null when none is. */
  get seq(): Seq | null {
    return this.#seq;
  }

  /** Its row, as soon as known. */
  get row(): Row | null {
    return this.#row;
  }

  get load(): Load {
    return this.#load;
  }

  open(seq: Seq): void {
    if (seq === this.#seq) return;
    this.#seq = seq;
    this.#row = this.#find(seq) ?? null;
    this.reload();
  }

  close(): void {
    this.#stop();
    this.#seq = null;
    this.#row = null;
  }

  /** Asks the server (again). */
  reload(): void {
    const seq = this.#seq;
    if (seq === null) return;
    this.#stop();
    if (!Number.isInteger(seq)) {
      this.#load = { state: 'unstored' };
      return;
    }
    this.#load = { state: 'loading' };
    const abort = new AbortController();
    this.#abort = abort;
    this.#timer = setTimeout(() => void this.#fetch(seq, abort.signal), SETTLE_MS);
  }

  async #fetch(seq: Seq, signal: AbortSignal): Promise<void> {
    try {
      const body = await fetchEvent(seq, signal);
      const row = body.whole ? body.row : (this.#row ?? (await fetchRow(seq, signal)) ?? null);
      if (signal.aborted) return;
      this.#row = row;
      this.#load = { state: 'ready', body };
    } catch (error) {
      if (signal.aborted) return;
      const missing = error instanceof ApiError && error.status === 404;
      const message = error instanceof Error ? error.message : String(error);
      this.#load = missing ? { state: 'missing' } : { state: 'failed', message };
    }
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#abort?.abort();
  }
}
