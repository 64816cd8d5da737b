// The event whose details are open: its row, its payload, how loading them fares, and whether its secrets are shown.
import { ApiError, fetchEvent, fetchRow, type EventBody } from '../link/api';
import type { Row, Seq } from '../protocol';

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
  #masked = $state(true);

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

  /** Whether what looks like a secret is masked. */
  get masked(): boolean {
    return this.#masked;
  }

  /** Whether there is something to show: the event has secrets, masked now or shown. */
  get hasSecrets(): boolean {
    return !this.#masked || (this.#load.state === 'ready' && this.#load.body.hides);
  }

  open(seq: Seq): void {
    if (seq === this.#seq) return;
    this.#seq = seq;
    this.#row = this.#find(seq) ?? null;
    // Secrets are shown for one event at a time, by somebody who asked to see them.
    this.#masked = true;
    this.reload();
  }

  /** Shows the secrets of this event, or masks them again. */
  toggleSecrets(): void {
    this.#masked = !this.#masked;
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
      const masked = this.#masked;
      const body = await fetchEvent(seq, masked, signal);
      const row = body.whole ? body.row : ((await fetchRow(seq, masked, signal)) ?? this.#row);
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
