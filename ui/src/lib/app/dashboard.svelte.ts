// What the page is about as one object: the parts, where the reader is, and the verbs of mouse and keyboard.
import { fetchNeighbours, fetchRows, markRead, postEvent } from '../link/api';
import { Connection } from '../link/connection.svelte';
import { Poll } from '../link/polled.svelte';
import { Details } from '../model/details.svelte';
import { Events } from '../model/events.svelte';
import type { Wanted } from '../model/history.svelte';
import { Rate } from '../model/rate.svelte';
import { Replay } from '../model/replay.svelte';
import { Sessions } from '../model/sessions.svelte';
import { Vitals } from '../model/vitals.svelte';
import type { Seq, SessionId, Timestamp } from '../protocol';
import { formatQuery, onlyValue, toggled, withOnly, type Condition } from '../query/query';
import { Saved } from '../query/saved.svelte';
import { timesOf, type Window } from '../query/timewindow';
import { Commands } from './commands';
import { Cursor } from './cursor.svelte';
import { Notifier } from './notify.svelte';
import { formatRoute, parseRoute, type Route, type View } from './route';
import { Theme } from './theme.svelte';

/** How often the other monitors are looked for. */
const NEIGHBOURS_MS = 5000;

export class Dashboard {
  /** What is live, whatever is looked at. */
  readonly live = {
    events: new Events((before, limit) => fetchRows({ before, limit })),
    sessions: new Sessions(),
  } as const;
  /** The past of a session, when that is looked at. */
  readonly replay = new Replay(this.live.events);
  readonly rate = new Rate();
  readonly theme = new Theme();
  readonly vitals = new Vitals();
  readonly saved = new Saved();
  readonly notifier = new Notifier();
  /** This user's monitors. */
  readonly neighbours = new Poll(fetchNeighbours, NEIGHBOURS_MS);
  readonly commands = new Commands();
  readonly details = new Details((seq) => this.events.find(seq));
  readonly connection = new Connection({ ...this.live, rate: this.rate });
  /** The selected row of the live list. */
  readonly cursor = new Cursor(
    () => this.events.shown,
    (seq) => this.#onSelect(seq),
  );

  #place = $state.raw<Pick<Route, 'view' | 'session' | 'window'>>(parseRoute(location.hash));

  constructor() {
    this.#apply(location.hash);
  }

  /** The events that are looked at: the live ones, or those of a replay. */
  get events(): Events {
    return this.replay.isOn ? this.replay.events : this.live.events;
  }

  /** The sessions that are looked at. */
  get sessions(): Sessions {
    return this.replay.isOn ? this.replay.sessions : this.live.sessions;
  }

  /** The time at which they are looked at, by the monitor's clock. */
  get now(): Timestamp {
    return this.replay.at ?? this.vitals.now;
  }

  /** What history and metrics ask for: query and window; in a replay, of its session and up to its time. */
  get wanted(): Wanted {
    const times = timesOf(this.window, this.now);
    const { page, at } = this.replay;
    if (page === null || at === null) return { query: this.events.text.trim(), ...times };
    const query = formatQuery(withOnly(this.events.query, 'session', page.id));
    return { query, ...times, to: Math.min(times.to ?? at, at) };
  }

  get view(): View {
    return this.#place.view;
  }

  /** The session of the session view. */
  get session(): SessionId | null {
    return this.#place.session;
  }

  /** The time window of history and metrics. */
  get window(): Window {
    return this.#place.window;
  }

  /** Where the reader is, as a link would say it. */
  readonly route: Route = $derived({
    ...this.#place,
    event: this.details.seq,
    query: this.events.text,
  });

  /** Connects, keeps the address up to date, and follows it; undone by the returned function. */
  run(): () => void {
    const stops = [this.connection.run(), this.rate.run(), this.vitals.run(), this.neighbours.run()];
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

  /** Writes where the reader is into the address; another view and opened details are steps that Back undoes. */
  syncAddress(): void {
    const hash = formatRoute(this.route);
    const before = parseRoute(location.hash);
    if (hash === location.hash || (location.hash === '' && hash === formatRoute(before))) return;
    const isStep =
      before.view !== this.view ||
      before.session !== this.session ||
      (before.event === null && this.details.seq !== null);
    if (isStep) history.pushState(null, '', hash);
    else history.replaceState(null, '', hash);
  }

  go(view: View): void {
    if (view === this.view) return;
    this.details.close();
    this.#place = { ...this.#place, view, session: null };
  }

  /** Shows one session in full. Being looked at, it no longer asks for attention. */
  goToSession(session: SessionId): void {
    this.details.close();
    this.#place = { ...this.#place, view: 'session', session };
    this.markRead(session);
  }

  /** Shows the events of one session, live. */
  goToStream(session: SessionId): void {
    this.setQuery(formatQuery(withOnly(this.events.query, 'session', session)));
    this.go('stream');
  }

  /** The session before or after the present one, in the order of the overview. */
  goToNeighbour(by: 1 | -1): void {
    const ids = this.live.sessions.byNeed.map((session) => session.session_id);
    const here = this.session === null ? -1 : ids.indexOf(this.session);
    const next = ids[here === -1 ? (by === 1 ? 0 : ids.length - 1) : here + by];
    if (next !== undefined) this.goToSession(next);
  }

  setWindow(next: Window): void {
    this.#place = { ...this.#place, window: next };
  }

  setQuery(text: string): void {
    this.events.setQuery(text);
  }

  /** Adds the condition to the query, or takes it out. */
  toggle(condition: Condition): void {
    this.setQuery(formatQuery(toggled(this.events.query, condition)));
  }

  clearQuery(): void {
    this.setQuery('');
  }

  /** Shows only this session, or all again when it was the one shown. */
  toggleSession(session: SessionId): void {
    const { query } = this.events;
    const isOnly = onlyValue(query, 'session') === session;
    this.setQuery(formatQuery(withOnly(query, 'session', isOnly ? null : session)));
  }

  open(seq: Seq): void {
    this.details.open(seq);
  }

  close(): void {
    this.details.close();
  }

  togglePause(): void {
    if (this.events.following) this.events.pause();
    else this.events.follow();
  }

  /** Says that somebody has seen the session as it is now. */
  markRead(session: SessionId): void {
    const status = this.live.sessions.get(session)?.status;
    if (status?.state !== 'done' || !status.unread) return;
    // Should it fail, the session stays unread, which harms nobody.
    void markRead(session).catch(() => undefined);
  }

  /** Sends one harmless event, to see that the way through works. */
  async sendTestEvent(): Promise<void> {
    await postEvent({
      hook_event_name: 'UserPromptSubmit',
      session_id: 'try',
      prompt: 'hello',
    });
  }

  /** What is being read must not move, so following ends; open details go along. */
  #onSelect(seq: Seq): void {
    this.events.pause();
    if (this.details.seq !== null) this.details.open(seq);
  }

  #apply(hash: string): void {
    const { event, query, ...place } = parseRoute(hash);
    this.#place = place;
    if (query !== this.events.text.trim()) this.setQuery(query);
    if (event === null) {
      this.details.close();
    } else if (event !== this.details.seq) {
      this.details.open(event);
      if (place.view === 'stream') this.cursor.reveal(event);
    }
  }
}
