// One session in full: what the monitor knows of it, its rows, and the point in time at which it is looked at.
import { ApiError, fetchRows, fetchSession } from '../link/api';
import type { Row, Seq, SessionDetail, SessionId, Timestamp } from '../protocol';
import type { Events } from './events.svelte';
import { lowerBound } from './sorted';
import { Timeline } from './timeline';

/** Most rows drawn; a session of that many runs for days. */
export const SESSION_ROWS_MAX = 60_000;
const PAGE_ROWS = 1000;
/** A busy session changes many times a second; people look once. */
const REFRESH_MS = 400;
/** While the position moves, the monitor is asked so often what it knew there. */
const THEN_MS = 200;

export type SessionLoad =
  { state: 'loading' } | { state: 'missing' } | { state: 'failed'; message: string } | { state: 'ready' };

export class SessionPage {
  readonly id: SessionId;
  #events: Events;
  #rows: Row[] = [];
  /** Rows that came in while the older ones were being fetched. */
  #waiting: Row[] = [];
  #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timeline = new Timeline();
  #played = 0;

  #load = $state.raw<SessionLoad>({ state: 'loading' });
  #detail = $state.raw<SessionDetail | null>(null);
  /** In a replay: what was known then, and up to which position that is. */
  #then = $state.raw<SessionDetail | null>(null);
  #thenSeq: Seq = 0;
  #thenTimer: ReturnType<typeof setTimeout> | undefined;
  #fetched = $state(0);
  #isLoading = $state(true);
  #problem = $state<string | null>(null);
  #cut = $state(false);
  #version = $state(0);
  #at = $state<Timestamp | null>(null);

  constructor(id: SessionId, events: Events) {
    this.id = id;
    this.#events = events;
  }

  get load(): SessionLoad {
    return this.#load;
  }

  /** What the monitor knows of it; in a replay, what it knew then. */
  get detail(): SessionDetail | null {
    return this.#at === null ? this.#detail : (this.#then ?? this.#detail);
  }

  /** How many rows were fetched so far. */
  get fetched(): number {
    return this.#fetched;
  }

  get isLoading(): boolean {
    return this.#isLoading;
  }

  /** Why the rows could not be fetched. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Whether there are older rows than can be drawn. */
  get cut(): boolean {
    return this.#cut;
  }

  /** Changes whenever the timeline does. */
  get version(): number {
    return this.#version;
  }

  /** The session up to the point in time that is looked at. Not a copy: never keep it. */
  get timeline(): Timeline {
    return this.#version >= 0 ? this.#timeline : new Timeline();
  }

  /** The point in time of a replay; null for now. */
  get at(): Timestamp | null {
    return this.#at;
  }

  /** When its first and last row happened. */
  get span(): { from: Timestamp; to: Timestamp } {
    const rows = this.#version >= 0 ? this.#rows : [];
    return { from: rows[0]?.occurred_at ?? 0, to: rows.at(-1)?.occurred_at ?? 0 };
  }

  /** The rows up to the point in time that is looked at. */
  get played(): readonly Row[] {
    return this.#version >= 0 ? this.#rows.slice(0, this.#played) : [];
  }

  /** Loads it and follows it until the returned function is called. */
  run(): () => void {
    const stop = this.#events.listen((rows) => this.#onRows(rows));
    void this.#fetchDetail();
    void this.#fetchAll();
    return () => {
      stop();
      this.#abort.abort();
      clearTimeout(this.#timer);
      clearTimeout(this.#thenTimer);
    };
  }

  /** Looks at the session as it was then; null for as it is. */
  look(at: Timestamp | null): void {
    const goesOn = at === null || (this.#at !== null && at >= this.#at);
    this.#at = at;
    if (!goesOn) this.#startOver();
    this.#play();
    if (at === null) this.#forgetThen();
    else this.#thenTimer ??= setTimeout(() => void this.#fetchThen(), THEN_MS);
  }

  /** Asks the monitor again. */
  refresh(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#fetchDetail();
    }, REFRESH_MS);
  }

  retry(): void {
    this.#load = { state: 'loading' };
    void this.#fetchDetail();
    if (this.#problem !== null) void this.#fetchAll();
  }

  async #fetchDetail(): Promise<void> {
    const { signal } = this.#abort;
    try {
      const detail = await fetchSession(this.id, signal);
      this.#detail = detail;
      this.#load = { state: 'ready' };
    } catch (error) {
      if (signal.aborted) return;
      const isMissing = error instanceof ApiError && error.status === 404;
      const message = error instanceof Error ? error.message : String(error);
      // What is known stays on screen.
      if (this.#detail === null) this.#load = isMissing ? { state: 'missing' } : { state: 'failed', message };
    }
  }

  async #fetchThen(): Promise<void> {
    this.#thenTimer = undefined;
    const seq = this.#rows[this.#played - 1]?.seq;
    if (seq === undefined || seq === this.#thenSeq) return;
    this.#thenSeq = seq;
    try {
      const then = await fetchSession(this.id, this.#abort.signal, seq);
      if (this.#thenSeq === seq) this.#then = then;
    } catch {
      // The next step asks again; until then the last known state stays.
      if (this.#thenSeq === seq) this.#thenSeq = 0;
    }
  }

  #forgetThen(): void {
    clearTimeout(this.#thenTimer);
    this.#thenTimer = undefined;
    this.#thenSeq = 0;
    this.#then = null;
  }

  async #fetchAll(): Promise<void> {
    const { signal } = this.#abort;
    const pages: Row[][] = [];
    this.#isLoading = true;
    this.#problem = null;
    this.#fetched = 0;
    try {
      for (let before: number | undefined; this.#fetched < SESSION_ROWS_MAX;) {
        const query = { session: this.id, limit: PAGE_ROWS, ...(before === undefined ? {} : { before }) };
        const page = await fetchRows(query, signal);
        pages.unshift(page.events);
        this.#fetched += page.events.length;
        const first = page.events[0];
        this.#cut = page.has_more;
        if (!page.has_more || first === undefined) break;
        before = first.seq;
      }
      this.#rows = pages.flat();
    } catch (error) {
      if (signal.aborted) return;
      this.#problem = error instanceof Error ? error.message : String(error);
    } finally {
      this.#isLoading = false;
    }
    this.#startOver();
    this.#append(this.#waiting);
    this.#waiting = [];
  }

  #onRows(rows: readonly Row[]): void {
    const mine = rows.filter((row) => row.session_id === this.id && row.duplicate_of === undefined);
    if (mine.length === 0) return;
    this.refresh();
    if (this.#isLoading) this.#waiting.push(...mine);
    else this.#append(mine);
  }

  #append(rows: readonly Row[]): void {
    const last = this.#rows.at(-1)?.seq ?? 0;
    const late = rows.filter(
      (row) => row.seq < last && this.#rows[lowerBound(this.#rows, row.seq)]?.seq !== row.seq,
    );
    const fresh = rows.filter((row) => row.seq > last);
    for (const row of fresh) this.#rows.push(row);
    if (late.length > 0) {
      // A refilled gap: what was folded after it is folded anew.
      this.#rows = [...this.#rows, ...late].sort((a, b) => a.seq - b.seq);
      this.#startOver();
    }
    this.#play();
  }

  #startOver(): void {
    this.#timeline = new Timeline();
    this.#played = 0;
  }

  /** Folds the rows up to the point in time that is looked at. */
  #play(): void {
    const at = this.#at ?? Infinity;
    let end = this.#played;
    while (end < this.#rows.length && (this.#rows[end] as Row).occurred_at <= at) end += 1;
    this.#timeline.add(this.#rows.slice(this.#played, end));
    this.#played = end;
    this.#version += 1;
  }
}
