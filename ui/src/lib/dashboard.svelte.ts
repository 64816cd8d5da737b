// What the page is about as one object: the parts, the selection, and the verbs of mouse and keyboard.
import { fetchRows, postEvent, type Query } from './api';
import { Connection } from './connection.svelte';
import { Details } from './details.svelte';
import { Events } from './events.svelte';
import { NO_FILTER, type Filter } from './filter';
import { Losses } from './losses.svelte';
import type { Seq, SessionId } from './protocol';
import { Rate } from './rate.svelte';
import { formatRoute, parseRoute } from './route';
import { Sessions } from './sessions.svelte';
import { lowerBound } from './sorted';
import { Theme } from './theme.svelte';

/** Most rows a search through all stored events shows. */
const SEARCH_ROWS = 1000;

export class Dashboard {
  readonly events = new Events((before, limit) => fetchRows({ before, limit }));
  readonly sessions = new Sessions();
  readonly rate = new Rate();
  readonly theme = new Theme();
  readonly losses = new Losses();
  readonly details = new Details((seq) => this.events.find(seq));
  readonly connection = new Connection({ events: this.events, sessions: this.sessions, rate: this.rate });

  #selected = $state<Seq | null>(null);
  /** Raised when the selection must come on screen. */
  #reveals = $state(0);

  constructor() {
    this.#apply(location.hash);
  }

  /** Position of the selected row. */
  get selected(): Seq | null {
    return this.#selected;
  }

  /** Changes when the selected row has to be scrolled to. */
  get reveals(): number {
    return this.#reveals;
  }

  /** Connects, keeps the address up to date, and follows it; undone by the returned function. */
  run(): () => void {
    const stops = [this.connection.run(), this.rate.run()];
    const onAddress = () => this.#apply(location.hash);
    const onAwake = () => {
      if (document.visibilityState === 'visible') this.connection.retryNow();
    };
    window.addEventListener('popstate', onAddress);
    window.addEventListener('online', onAwake);
    document.addEventListener('visibilitychange', onAwake);
    return () => {
      for (const stop of stops) stop();
      window.removeEventListener('popstate', onAddress);
      window.removeEventListener('online', onAwake);
      document.removeEventListener('visibilitychange', onAwake);
    };
  }

  /** Writes filter and open event into the address; opening details is a step that Back undoes. */
  syncAddress(): void {
    const hash = formatRoute({ event: this.details.seq, filter: this.events.filter });
    const before = parseRoute(location.hash);
    if (hash === location.hash || (hash === '#/' && location.hash === '')) return;
    if (before.event === null && this.details.seq !== null) history.pushState(null, '', hash);
    else history.replaceState(null, '', hash);
  }

  setFilter(change: Partial<Filter>): void {
    this.events.setFilter({ ...this.events.filter, ...change });
  }

  clearFilter(): void {
    this.events.setFilter(NO_FILTER);
  }

  /** Searches all stored events for what the filter says. */
  searchStored(): void {
    const { text, errors, session } = this.events.filter;
    const query: Query = { limit: SEARCH_ROWS };
    if (text.trim() !== '') query.q = text.trim();
    if (errors) query.error = true;
    if (session !== null) query.session = session;
    void this.events.searchStored(() => fetchRows(query));
  }

  /** Shows only this session, or all again when it was the one shown. */
  toggleSession(session: SessionId): void {
    this.setFilter({ session: this.events.filter.session === session ? null : session });
  }

  /** Selects a row; what is being read must not move, so following ends. */
  select(seq: Seq): void {
    this.events.pause();
    this.#selected = seq;
    if (this.details.seq !== null) this.details.open(seq);
  }

  open(seq: Seq): void {
    this.select(seq);
    this.details.open(seq);
  }

  /** Opens the details of the selected row. */
  openSelected(): void {
    if (this.#selected !== null) this.open(this.#selected);
  }

  close(): void {
    this.details.close();
  }

  /** Selects the row `by` rows further down; the newest when none is selected. */
  move(by: number): void {
    const { shown } = this.events;
    const at = this.#selected === null ? shown.length : lowerBound(shown, this.#selected);
    this.#go(this.#selected === null ? shown.length - 1 : at + by);
  }

  moveToFirst(): void {
    this.#go(0);
  }

  /** Selects the next failure in that direction. */
  moveToError(direction: 1 | -1): void {
    const { shown } = this.events;
    let at = this.#selected === null ? shown.length : lowerBound(shown, this.#selected);
    if (this.#selected === null && direction === 1) return;
    for (at += direction; at >= 0 && at < shown.length; at += direction) {
      if (shown[at]?.is_error) {
        this.#go(at);
        return;
      }
    }
  }

  follow(): void {
    this.events.follow();
  }

  togglePause(): void {
    if (this.events.following) this.events.pause();
    else this.events.follow();
  }

  /** Sends one harmless event, to see that the way through works. */
  async sendTestEvent(): Promise<void> {
    await postEvent({
      hook_event_name: 'UserPromptSubmit',
      session_id: 'try',
      prompt: 'hello',
    });
  }

  #go(index: number): void {
    const { shown } = this.events;
    const row = shown[Math.min(Math.max(index, 0), shown.length - 1)];
    if (row === undefined) return;
    this.select(row.seq);
    this.#reveals += 1;
  }

  #apply(hash: string): void {
    const { event, filter } = parseRoute(hash);
    if (formatRoute({ event, filter }) !== formatRoute({ event, filter: this.events.filter })) {
      this.events.setFilter(filter);
    }
    if (event === null) {
      this.details.close();
    } else if (event !== this.details.seq) {
      this.open(event);
      this.#reveals += 1;
    }
  }
}
