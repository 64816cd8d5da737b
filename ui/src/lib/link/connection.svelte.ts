// The live connection: subscribe, resume, fill gaps, reconnect. The only file that knows the socket.
import { io } from 'socket.io-client';

import type {
  Batch,
  Gap,
  Row,
  Seq,
  Session,
  SessionCounts,
  SessionsChanged,
  Snapshot,
  Subscribe,
  Timestamp,
} from '../protocol';
import { fetchRows, type Page, type RowsQuery } from './api';
import { instance } from './instance';
import { isLoopback } from './move';
import { RelayedStream } from './relayed';
import type { StreamSocket } from './socket';

/** Rows asked for at once. */
const PAGE_ROWS = 1000;
/** How long the server may take to answer `subscribe`. */
const ACK_MS = 10_000;
/** Waits before the first, second, … attempt to reconnect; the last one repeats. */
export const RETRY_MS = [500, 1000, 2000, 3000, 5000, 8000] as const;
/** Between the made-up positions of rows that were not stored: a million fit between two real ones. */
const UNSTORED_STEP = 1e-6;
/** Wait before asking again for missed rows. */
const REFILL_RETRY_MS = 2000;

/** Where things stand with the server. */
export type Phase =
  /** Never connected yet, first attempt running. */
  | 'connecting'
  /** Connected; rows that were missed are still being fetched. */
  | 'catching_up'
  /** Everything is here, and new rows come as they happen. */
  | 'live'
  /** Not connected; the next attempt is at `retryAt`, or running when that has passed. */
  | 'lost';

/** What the server said before it went away. */
export interface Farewell {
  restart: boolean;
  reason: string;
  /** Where it serves next, when that is not here. */
  url: string | null;
}

/** A monitor of another version may not count its sessions. */
type Uncounted<T extends { counts: SessionCounts }> = Omit<T, 'counts'> & Partial<Pick<T, 'counts'>>;

/** Takes the rows. */
interface Events {
  /** Most rows it keeps: more than that are not worth fetching. */
  readonly rowsMax: number;
  /** Whether the server has rows before the first one taken. */
  olderExist: boolean;
  add(rows: readonly Row[]): void;
  flush(): void;
  clear(): void;
}

/** Takes the states of sessions. */
interface Sessions {
  replace(sessions: readonly Session[], counts?: SessionCounts): void;
  update(changed: readonly Session[], counts?: SessionCounts): void;
}

/** Takes how much comes, and how old it is. */
interface Rate {
  add(events: number): void;
  addAge(age: number): void;
}

/** Whom the connection tells, known by nothing else than what it needs of them, and how it asks. */
interface Parts {
  events: Events;
  sessions: Sessions;
  rate: Rate;
  open?: () => StreamSocket;
  rows?: (query: RowsQuery) => Promise<Page>;
}

export class Connection {
  #events: Events;
  #sessions: Sessions;
  #rate: Rate;
  #open: () => StreamSocket;
  #fetchRows: (query: RowsQuery) => Promise<Page>;

  #socket: StreamSocket | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #ackTimer: ReturnType<typeof setTimeout> | undefined;
  /** Number of the present connection; answers to an earlier one are void. */
  #turn = 0;
  #attempts = 0;
  #epoch: string | null = null;
  /** Position up to which nothing is missing; null before the first snapshot. */
  #complete: Seq | null = null;
  /** Newest position seen. */
  #newest: Seq = 0;
  #gaps: Gap[] = [];
  #refilling = false;

  #phase = $state<Phase>('connecting');
  #lostSince = $state<Timestamp | null>(null);
  #retryAt = $state<Timestamp | null>(null);
  #missing = $state(0);
  #unstored = $state(0);
  #farewell = $state.raw<Farewell | null>(null);
  #firstVersion = $state<string | null>(null);
  #version = $state<string | null>(null);
  #stored = $state<Seq>(0);

  constructor({ events, sessions, rate, open = openSocket, rows = fetchRows }: Parts) {
    this.#events = events;
    this.#sessions = sessions;
    this.#rate = rate;
    this.#open = open;
    this.#fetchRows = rows;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Since when there is no connection. */
  get lostSince(): Timestamp | null {
    return this.#lostSince;
  }

  /** When the next attempt starts; null while one runs. */
  get retryAt(): Timestamp | null {
    return this.#retryAt;
  }

  /** How many rows were missed for slowness and are being fetched. */
  get missing(): number {
    return this.#missing;
  }

  get farewell(): Farewell | null {
    return this.#farewell;
  }

  /** Version of the server, once known. */
  get version(): string | null {
    return this.#version;
  }

  /** Whether the server is another version than the one this page came from. */
  readonly outdated: boolean = $derived(this.#firstVersion !== null && this.#version !== this.#firstVersion);

  /** How many rows are shown here that the server could not keep. */
  get unstored(): number {
    return this.#unstored;
  }

  /** Position of the newest event on the server. */
  get stored(): Seq {
    return this.#stored;
  }

  /** Connects and stays connected until the returned function is called. */
  run(): () => void {
    const socket = this.#open();
    this.#socket = socket;
    socket.on('connect', () => this.#subscribe());
    socket.on('disconnect', () => this.#lost());
    socket.on('connect_error', () => this.#lost());
    socket.on('events', (batch: Batch) => this.#onRows(batch.rows));
    socket.on('unstored', (batch: Batch) => this.#onUnstored(batch.rows));
    socket.on('sessions', ({ changed, counts }: Uncounted<SessionsChanged>) =>
      this.#sessions.update(changed, counts),
    );
    socket.on('gap', (gap: Gap) => this.#onGap(gap));
    socket.on('server_shutdown', (data?: { reason?: unknown }) => {
      this.#farewell = { restart: false, reason: String(data?.reason ?? ''), url: null };
    });
    socket.on('server_restart', (data?: { reason?: unknown; url?: unknown }) => {
      this.#farewell = { restart: true, reason: String(data?.reason ?? ''), url: elsewhere(data?.url) };
    });
    socket.connect();
    return () => {
      this.#turn += 1;
      this.#stopTimers();
      this.#socket = undefined;
      socket.disconnect();
    };
  }

  /** Does not wait for the next attempt. */
  retryNow(): void {
    if (this.#retryAt === null) return;
    clearTimeout(this.#retryTimer);
    this.#retryAt = null;
    this.#socket?.connect();
  }

  #subscribe(): void {
    const turn = ++this.#turn;
    const after = this.#complete;
    this.#stopTimers();
    this.#retryAt = null;
    if (this.#phase === 'lost') this.#phase = 'catching_up';
    this.#ackTimer = setTimeout(() => {
      // Connected to something that does not answer: start from the beginning. A deliberate disconnect
      // raises the event, and with it the next attempt.
      this.#socket?.disconnect();
    }, ACK_MS);
    const subscribe: Subscribe = { limit: PAGE_ROWS, ...(after === null ? {} : { after }) };
    this.#socket?.emit('subscribe', subscribe, (snapshot: Snapshot) => {
      if (turn !== this.#turn) return;
      clearTimeout(this.#ackTimer);
      void this.#onSnapshot(snapshot, after, turn);
    });
  }

  async #onSnapshot(snapshot: Snapshot, after: Seq | null, turn: number): Promise<void> {
    if (!Array.isArray(snapshot?.snapshot)) {
      this.#socket?.disconnect();
      return;
    }
    const otherStore = this.#epoch !== null && snapshot.epoch !== this.#epoch;
    const tooFar = after !== null && snapshot.last_seq - after > this.#events.rowsMax;
    this.#epoch = snapshot.epoch;
    if (otherStore || tooFar) this.#startOver();
    if ((otherStore || tooFar) && after !== null) {
      this.#subscribe();
      return;
    }
    this.#firstVersion ??= snapshot.server_version;
    this.#version = snapshot.server_version;
    this.#sessions.replace(snapshot.sessions, (snapshot as Uncounted<Snapshot>).counts);
    this.#take(snapshot.snapshot);
    this.#newest = Math.max(this.#newest, snapshot.last_seq);
    this.#stored = this.#newest;
    this.#events.flush();
    if (after === null) {
      this.#events.olderExist = snapshot.has_more;
    } else if (snapshot.has_more) {
      const reached = snapshot.snapshot.at(-1)?.seq ?? after;
      this.#complete = reached;
      this.#phase = 'catching_up';
      if (!(await this.#catchUp(reached, turn))) return;
    }
    this.#complete = this.#newest;
    this.#attempts = 0;
    this.#lostSince = null;
    this.#farewell = null;
    this.#phase = 'live';
    this.#events.flush();
    // Gaps announced meanwhile are still open.
    this.#holdAtGaps();
    void this.#refill();
  }

  /** Fetches page after page what lies between `from` and the live rows. */
  async #catchUp(from: Seq, turn: number): Promise<boolean> {
    for (let after = from; ;) {
      let page: Page;
      try {
        page = await this.#fetchRows({ after, limit: PAGE_ROWS });
      } catch {
        // The server went away again, or soon will have: the next connection goes on from here.
        if (turn === this.#turn) this.#socket?.disconnect();
        return false;
      }
      if (turn !== this.#turn) return false;
      this.#take(page.events);
      const last = page.events.at(-1);
      if (last !== undefined) {
        after = last.seq;
        this.#complete = after;
      }
      if (!page.has_more || last === undefined) return true;
    }
  }

  #onRows(rows: readonly Row[]): void {
    this.#take(rows);
    this.#rate.add(rows.length);
    const last = rows.at(-1);
    if (last !== undefined && this.#phase === 'live') this.#rate.addAge(Date.now() - last.received_at);
    this.#stored = this.#newest;
    if (this.#phase === 'live' && this.#gaps.length === 0) this.#complete = this.#newest;
  }

  /** Rows that the server could not keep have no position; here they stand behind the newest one that has. */
  #onUnstored(rows: readonly Row[]): void {
    this.#rate.add(rows.length);
    this.#events.add(
      rows.map((row) => {
        this.#unstored += 1;
        return { ...row, seq: this.#newest + this.#unstored * UNSTORED_STEP };
      }),
    );
  }

  #take(rows: readonly Row[]): void {
    this.#events.add(rows);
    for (const row of rows) if (row.seq > this.#newest) this.#newest = row.seq;
  }

  #onGap(gap: Gap): void {
    this.#gaps.push({ from: Math.max(gap.from, gap.to - this.#events.rowsMax), to: gap.to });
    this.#newest = Math.max(this.#newest, gap.to);
    this.#holdAtGaps();
    void this.#refill();
  }

  async #refill(): Promise<void> {
    if (this.#refilling || this.#phase !== 'live') return;
    const turn = this.#turn;
    this.#refilling = true;
    try {
      for (let gap = this.#gaps[0]; gap !== undefined; gap = this.#gaps[0]) {
        const page = await this.#fetchRows({ after: gap.from - 1, before: gap.to + 1, limit: PAGE_ROWS });
        if (turn !== this.#turn) return;
        this.#take(page.events);
        const last = page.events.at(-1);
        if (page.has_more && last !== undefined && last.seq < gap.to) {
          this.#gaps[0] = { from: last.seq + 1, to: gap.to };
        } else {
          this.#gaps.shift();
        }
        this.#holdAtGaps();
      }
      this.#complete = this.#newest;
    } catch {
      setTimeout(() => void this.#refill(), REFILL_RETRY_MS);
    } finally {
      this.#refilling = false;
      if (turn !== this.#turn) void this.#refill();
    }
  }

  /** How many rows between these two are still being fetched. */
  missedBetween(before: Seq, after: Seq): number {
    if (this.#missing === 0) return 0;
    return this.#gaps.reduce(
      (sum, { from, to }) => sum + Math.max(0, Math.min(to, after - 1) - Math.max(from, before + 1) + 1),
      0,
    );
  }

  /** A resume must begin before the first open gap. */
  #holdAtGaps(): void {
    this.#missing = this.#gaps.reduce((sum, gap) => sum + gap.to - gap.from + 1, 0);
    for (const gap of this.#gaps) {
      if (this.#complete !== null) this.#complete = Math.min(this.#complete, gap.from - 1);
    }
  }

  #lost(): void {
    if (this.#socket === undefined || this.#retryAt !== null) return;
    this.#turn += 1;
    this.#stopTimers();
    // What the gaps miss comes with the resume.
    this.#gaps = [];
    this.#missing = 0;
    this.#lostSince ??= Date.now();
    this.#phase = 'lost';
    const wait = RETRY_MS[Math.min(this.#attempts, RETRY_MS.length - 1)] as number;
    this.#attempts += 1;
    this.#retryAt = Date.now() + wait;
    this.#retryTimer = setTimeout(() => this.retryNow(), wait);
  }

  #startOver(): void {
    this.#events.clear();
    this.#sessions.replace([]);
    this.#complete = null;
    this.#newest = 0;
    this.#gaps = [];
    this.#missing = 0;
  }

  #stopTimers(): void {
    clearTimeout(this.#ackTimer);
    clearTimeout(this.#retryTimer);
  }
}

function openSocket(): StreamSocket {
  if (instance !== null) return new RelayedStream();
  return io('/stream', {
    autoConnect: false,
    // Reconnecting is done here, so that the page can say when the next attempt is.
    reconnection: false,
    transports: ['websocket', 'polling'],
    tryAllTransports: true,
  });
}

/** The address when it is a web address of another place than this page's. */
function elsewhere(url: unknown): string | null {
  if (typeof url !== 'string' || !URL.canParse(url)) return null;
  const target = new URL(url);
  if (target.protocol !== 'http:' && target.protocol !== 'https:') return null;
  const samePort =
    target.port === location.port && isLoopback(target.hostname) && isLoopback(location.hostname);
  return target.origin === location.origin || samePort ? null : target.href;
}
