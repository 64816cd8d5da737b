// The loaded events: their order, the query over them, and whether the list follows the newest.
import type { Page } from '../link/api';
import type { Row, Seq, SessionId } from '../protocol';
import { isEmpty, matcher, narrows } from '../query/filter';
import { parseQuery, type Query } from '../query/query';
import { inOrder, lowerBound, merge, rowAt } from './sorted';

/** Most rows kept in the page; older ones are on the server. */
export const ROWS_MAX = 100_000;
/** How long incoming rows gather before the list changes. */
export const FLUSH_MS = 120;
/** Rows asked for when the reader reaches the oldest one. */
const OLDER_ROWS = 500;
/** Share of the rows dropped at once at the limit, so that it does not happen on every flush. */
const DROP_SHARE = 0.05;

/** Asks the server for the rows before a position. */
export type OlderRows = (before: Seq, limit: number) => Promise<Page>;

/** Hears of the rows that came in. */
type Listener = (rows: readonly Row[]) => void;

/** Rows tested at once when the query changes: enough to fill any screen. */
const SCAN_AT_ONCE = 10_000;
/** Rows tested in one of the steps after that, each a few milliseconds long, so that keys and frames come through. */
const SCAN_STEP = 10_000;

export class Events {
  // Plain arrays behind one counter: proxies around 100,000 rows would cost more than everything else.
  #rows: Row[] = [];
  /** The rows that match; the same array as `#rows` while nothing is filtered. */
  #shown: Row[] = this.#rows;
  #pending: Row[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #matches: (row: Row) => boolean = () => true;
  /** Rows from here on are tested; those before are tested step by step after the query changed. */
  #scannedFrom: Seq = 0;
  #scanTimer: ReturnType<typeof setTimeout> | undefined;
  #listeners = new Set<Listener>();
  /** Changes with every clear, so that an answer about the old rows is recognised. */
  #generation = 0;
  #olderRows: OlderRows;
  #rowsMax: number;

  #version = $state(0);
  #text = $state('');
  #scanning = $state(false);
  #following = $state(true);
  #seen = $state<Seq>(0);
  #heard = false;
  #olderExist = $state(false);
  #older = $state<'idle' | 'loading' | 'failed'>('idle');

  constructor(olderRows: OlderRows, rowsMax = ROWS_MAX) {
    this.#olderRows = olderRows;
    this.#rowsMax = rowsMax;
  }

  /** Changes whenever the rows or the shown rows do. */
  get version(): number {
    return this.#version;
  }

  /** The rows to show, oldest first: those that match the query. Not a copy: never keep it. */
  get shown(): readonly Row[] {
    return this.#version >= 0 ? this.#shown : [];
  }

  /** All loaded rows, oldest first. Not a copy: never keep it. */
  get all(): readonly Row[] {
    return this.#version >= 0 ? this.#rows : [];
  }

  /** How many rows are loaded. */
  get loaded(): number {
    return this.#version >= 0 ? this.#rows.length : 0;
  }

  /** Whether anybody but the monitor itself has told anything. */
  get heard(): boolean {
    return this.#version >= 0 && (this.#heard || this.#olderExist);
  }

  /** The query as written. */
  get text(): string {
    return this.#text;
  }

  /** The query taken apart. */
  readonly query: Query = $derived(parseQuery(this.#text));

  /** Whether the query hides anything. */
  readonly filtered: boolean = $derived(!isEmpty(this.query));

  /** Whether older rows are still being tested. */
  get scanning(): boolean {
    return this.#scanning;
  }

  /** Whether the list stays at the newest row. */
  get following(): boolean {
    return this.#following;
  }

  /** How many shown rows came since the pause and were not on screen yet. */
  get unseen(): number {
    if (this.#following) return 0;
    return this.shown.length - lowerBound(this.#shown, this.#seen + 1);
  }

  /** Whether the server has rows before the first loaded one. */
  get olderExist(): boolean {
    return this.#olderExist;
  }

  set olderExist(exist: boolean) {
    this.#olderExist = exist;
  }

  /** How the request for older rows fares. */
  get older(): 'idle' | 'loading' | 'failed' {
    return this.#older;
  }

  /** Most rows that the page holds. */
  get rowsMax(): number {
    return this.#rowsMax;
  }

  /** Whether the page holds as many rows as it may. */
  get full(): boolean {
    return this.loaded + OLDER_ROWS > this.#rowsMax;
  }

  /** The loaded row at this position, shown or not. */
  find(seq: Seq): Row | undefined {
    return rowAt(this.#rows, seq);
  }

  /** Takes rows in; the list changes with the next flush. */
  add(rows: readonly Row[]): void {
    for (const row of rows) this.#pending.push(row);
    if (this.#pending.length > 0) this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  /** Puts everything taken in into the list now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending.length === 0) return;
    const incoming = this.#pending;
    this.#pending = [];
    // Rows from before the first loaded one would leave a hole that nobody could see.
    const floor = this.#olderExist ? (this.#rows[0]?.seq ?? 0) : 0;
    const wanted = incoming.filter((row) => row.duplicate_of === undefined && row.seq >= floor);
    for (const row of incoming) if (row.duplicate_of !== undefined) this.#remove(row.seq);
    this.#insert(inOrder(wanted));
    this.#heard ||= wanted.some((row) => row.source !== 'monitor');
    this.#dropOldest();
    this.#version += 1;
    for (const listener of this.#listeners) listener(incoming);
  }

  /** Tells of all rows that come in, until the returned function is called. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The loaded rows of one session, oldest first. */
  ofSession(session: SessionId): Row[] {
    return this.#rows.filter((row) => row.session_id === session);
  }

  /** Forgets all rows; query and follow stay. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#generation += 1;
    this.#pending = [];
    this.#rows = [];
    this.#heard = false;
    this.#shown = this.filtered ? [] : this.#rows;
    this.#seen = 0;
    this.#olderExist = false;
    this.#older = 'idle';
    this.#stopScan();
    this.#version += 1;
  }

  /** Shows what matches: the newest rows at once, the older ones as fast as the page stays quick. */
  setQuery(text: string): void {
    const old = this.query;
    const wasScanning = this.#scanning;
    this.#text = text;
    this.#matches = matcher(this.query);
    this.#stopScan();
    if (!this.filtered) {
      this.#shown = this.#rows;
    } else if (!wasScanning && narrows(this.query, old) && this.#shown.length <= SCAN_AT_ONCE) {
      this.#shown = this.#shown.filter(this.#matches);
    } else {
      const start = Math.max(0, this.#rows.length - SCAN_AT_ONCE);
      this.#shown = this.#rows.slice(start).filter(this.#matches);
      if (start > 0) this.#scanFrom((this.#rows[start] as Row).seq);
    }
    this.#version += 1;
  }

  #scanFrom(seq: Seq): void {
    this.#scannedFrom = seq;
    this.#scanning = true;
    this.#scanTimer = setTimeout(() => this.#scanStep(), 0);
  }

  #scanStep(): void {
    const end = lowerBound(this.#rows, this.#scannedFrom);
    const start = Math.max(0, end - SCAN_STEP);
    const found = this.#rows.slice(start, end).filter(this.#matches);
    if (found.length > 0) {
      this.#shown = found.concat(this.#shown);
      this.#version += 1;
    }
    if (start === 0) this.#stopScan();
    else this.#scanFrom((this.#rows[start] as Row).seq);
  }

  #stopScan(): void {
    clearTimeout(this.#scanTimer);
    this.#scannedFrom = 0;
    this.#scanning = false;
  }

  /** Keeps the list where it is. */
  pause(): void {
    if (!this.#following) return;
    this.#seen = this.#rows.at(-1)?.seq ?? 0;
    this.#following = false;
  }

  /** Goes to the newest row and stays there. */
  follow(): void {
    this.flush();
    this.#following = true;
  }

  /** Says that the rows up to this one were on screen. */
  see(seq: Seq): void {
    if (!this.#following && seq > this.#seen) this.#seen = seq;
  }

  /** Loads the rows before the first one; does nothing while it is at it or when there are none. */
  async loadOlder(): Promise<void> {
    const first = this.#rows[0];
    if (first === undefined || !this.#olderExist || this.#older === 'loading' || this.full) return;
    const generation = this.#generation;
    this.#older = 'loading';
    try {
      const page = await this.#olderRows(first.seq, OLDER_ROWS);
      if (generation !== this.#generation) return;
      // Rows dropped at the limit meanwhile: the page no longer joins on.
      if (this.#rows[0]?.seq !== first.seq) {
        this.#older = 'idle';
        return;
      }
      this.#insert(inOrder(page.events.filter((row) => row.duplicate_of === undefined)));
      this.#olderExist = page.has_more;
      this.#older = 'idle';
      this.#version += 1;
    } catch {
      if (generation === this.#generation) this.#older = 'failed';
    }
  }

  #insert(rows: readonly Row[]): void {
    const shared = this.#shown === this.#rows;
    this.#rows = joined(this.#rows, rows);
    // What the scan has not reached yet it will find by itself.
    const tested = rows.filter((row) => row.seq >= this.#scannedFrom && this.#matches(row));
    this.#shown = shared ? this.#rows : joined(this.#shown, tested);
  }

  #remove(seq: Seq): void {
    if (rowAt(this.#rows, seq) === undefined) return;
    const shared = this.#shown === this.#rows;
    this.#rows.splice(lowerBound(this.#rows, seq), 1);
    if (!shared && rowAt(this.#shown, seq)) this.#shown.splice(lowerBound(this.#shown, seq), 1);
  }

  #dropOldest(): void {
    if (this.#rows.length <= this.#rowsMax) return;
    const shared = this.#shown === this.#rows;
    const keep = Math.ceil(this.#rowsMax * (1 - DROP_SHARE));
    this.#rows.splice(0, this.#rows.length - keep);
    if (!shared) this.#shown.splice(0, lowerBound(this.#shown, this.#rows[0]?.seq ?? 0));
    this.#olderExist = true;
  }
}

/** Appends in place where that is enough, which is nearly always. */
function joined(old: Row[], more: readonly Row[]): Row[] {
  const first = more[0];
  if (first === undefined) return old;
  if (first.seq <= (old.at(-1)?.seq ?? 0)) return merge(old, more);
  for (const row of more) old.push(row);
  return old;
}
