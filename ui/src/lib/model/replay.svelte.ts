// The replay of a session: what was known of it at a point in time, which stands in for all that is live in every
// view that shows events or sessions.
import { untrack } from 'svelte';

import type { Row, SessionDetail, SessionId, Timestamp } from '../protocol';
import { Axis } from './axis';
import { Events } from './events.svelte';
import { layOut } from './lanes';
import { SessionPage } from './session.svelte';
import { Sessions } from './sessions.svelte';
import { Timeline } from './timeline';

/** Positions of the scrubber. */
export const STEPS = 1000;
const STEP_MS = 100;
/** How often, while the position moves, those are told for whom each look is a question to the monitor. */
const BEAT_MS = 700;

export class Replay {
  /** The rows of the session up to the point in time. */
  readonly events = new Events(() => Promise.resolve({ events: [], has_more: false }));
  /** The session, as it was. */
  readonly sessions = new Sessions();

  #live: Events;
  #page = $state.raw<SessionPage | null>(null);
  #stopPage: (() => void) | undefined;
  /** Whether the session's own view is open: it keeps the page, whether there is a replay or not. */
  #isHeld = false;
  #fed = 0;
  #playing = $state(false);
  #beat = $state(0);
  #isBeating = false;
  /** Quiet stretches are skipped: nobody watches an hour of nothing. Made once, when the replay begins. */
  #axis = $state.raw<Axis>();
  /** How many times faster than it happened. */
  speed = $state(4);

  constructor(live: Events) {
    this.#live = live;
  }

  /** The session that is replayed; nothing while all is live. */
  get page(): SessionPage | null {
    return this.isOn ? this.#page : null;
  }

  /** Whether something of the past is shown in place of what is live. */
  get isOn(): boolean {
    return this.at !== null;
  }

  /** The point in time that is looked at. */
  get at(): Timestamp | null {
    return this.#page?.at ?? null;
  }

  get playing(): boolean {
    return this.#playing;
  }

  /** Changes now and then while the position moves. */
  get beat(): number {
    return this.#beat;
  }

  /** Where the scrubber stands, from 0 to `STEPS`; at its end without a replay. */
  readonly position: number = $derived.by(() => {
    const at = this.at;
    if (at === null || this.#axis === undefined) return STEPS;
    return Math.round((this.#axis.place(at) / this.#axis.length) * STEPS);
  });

  /** The session's view opens: its page, which is still there when it is being replayed. */
  enter(id: SessionId): SessionPage {
    this.#isHeld = true;
    if (this.#page?.id === id) return this.#page;
    if (this.isOn) this.end();
    this.#stopPage?.();
    const page = new SessionPage(id, this.#live);
    this.#page = page;
    this.#stopPage = page.run();
    return page;
  }

  /** The session's view closes; a replay goes on. */
  leave(page: SessionPage): void {
    if (page !== this.#page) return;
    this.#isHeld = false;
    if (!this.isOn) this.#drop();
  }

  /** Looks at the session as it was at a position of the scrubber. */
  scrub(step: number): void {
    const axis = this.#begin();
    if (axis !== undefined) this.#look(axis.time((step / STEPS) * axis.length));
  }

  /** Plays on from where it is, from the beginning when it is at the end; or stops playing. */
  toggle(): void {
    const axis = this.#begin();
    const page = this.#page;
    if (axis === undefined || page === null) return;
    if (!this.#playing && (page.at === null || page.at >= page.span.to)) this.#look(axis.time(0));
    this.#playing = !this.#playing;
  }

  /** Back to now. */
  end(): void {
    this.#playing = false;
    this.#live.setQuery(this.events.text);
    this.#axis = undefined;
    this.#page?.look(null);
    this.#clear();
    if (!this.#isHeld) this.#drop();
  }

  /** Plays for as long as it should, until the returned function is called. */
  run(): (() => void) | undefined {
    if (!this.#playing) return undefined;
    const timer = setInterval(() => this.#step(), STEP_MS);
    return () => clearInterval(timer);
  }

  /** Hands rows and session on to those who show them; read in an effect, it follows them. */
  feed(): void {
    const page = this.page;
    if (page === null) return;
    const { played, detail } = page;
    untrack(() => this.#hand(played, detail));
  }

  #hand(played: readonly Row[], detail: SessionDetail | null): void {
    if (detail !== null) this.sessions.replace([detail]);
    const lastFed = this.events.all.at(-1);
    // Back in time, or a gap was filled: what was handed on is no beginning of the rows any more.
    if (this.#fed > played.length || (this.#fed > 0 && played[this.#fed - 1]?.seq !== lastFed?.seq)) {
      this.#clear();
    }
    this.events.add(played.slice(this.#fed));
    this.events.flush();
    this.#fed = played.length;
  }

  #begin(): Axis | undefined {
    const page = this.#page;
    if (page === null) return undefined;
    if (this.#axis === undefined) {
      const { from, to } = page.span;
      const whole = new Timeline();
      whole.add(page.played);
      this.#axis = new Axis(layOut(whole, to, '', '').busy, from, to);
      this.events.setQuery(this.#live.text);
    }
    return this.#axis;
  }

  #step(): void {
    const [axis, page] = [this.#axis, this.#page];
    if (axis === undefined || page === null) return;
    const next = axis.place(page.at ?? page.span.from) + STEP_MS * this.speed;
    this.#look(axis.time(Math.min(next, axis.length)));
    if (next >= axis.length) this.#playing = false;
  }

  #look(at: Timestamp): void {
    this.#page?.look(at);
    if (this.#isBeating) return;
    this.#isBeating = true;
    setTimeout(() => {
      this.#isBeating = false;
      this.#beat += 1;
    }, BEAT_MS);
  }

  #clear(): void {
    this.events.clear();
    this.#fed = 0;
  }

  #drop(): void {
    this.#stopPage?.();
    this.#stopPage = undefined;
    this.#page = null;
  }
}
