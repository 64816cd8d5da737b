// A value of the monitor that is asked for again and again while somebody looks at it.

export type Polled<T> =
  { state: 'loading' } | { state: 'ready'; value: T } | { state: 'failed'; message: string };

export class Poll<T> {
  #ask: (signal: AbortSignal) => Promise<T>;
  #everyMs: number;
  #now = $state.raw<Polled<T>>({ state: 'loading' });

  constructor(ask: (signal: AbortSignal) => Promise<T>, everyMs: number) {
    this.#ask = ask;
    this.#everyMs = everyMs;
  }

  get now(): Polled<T> {
    return this.#now;
  }

  /** What was told last; nothing before the first answer. */
  get value(): T | undefined {
    return this.#now.state === 'ready' ? this.#now.value : undefined;
  }

  /** Asks until the returned function is called; the next question waits for the answer to the last one. */
  run(): () => void {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const next = async () => {
      await this.#once(abort.signal);
      if (!abort.signal.aborted) timer = setTimeout(() => void next(), this.#everyMs);
    };
    void next();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }

  async #once(signal: AbortSignal): Promise<void> {
    try {
      const value = await this.#ask(signal);
      if (!signal.aborted) this.#now = { state: 'ready', value };
    } catch (error) {
      // What is known stays on screen; that the connection is lost is told by the banner.
      if (signal.aborted || this.#now.state === 'ready') return;
      this.#now = { state: 'failed', message: error instanceof Error ? error.message : String(error) };
    }
  }
}
