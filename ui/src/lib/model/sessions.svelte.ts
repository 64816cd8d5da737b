// The known sessions: by newest activity, and by who needs the reader most.
import type { Session, SessionId, Status } from '../protocol';

/** The states in the order in which they ask for attention. */
const URGENCY: Readonly<Record<Status['state'], number>> = {
  needs_you: 0,
  failed: 1,
  rate_limited: 2,
  done: 3,
  working: 4,
  compacting: 4,
  background: 5,
  interrupted: 6,
  scheduled: 7,
  idle: 8,
  lost: 9,
  closed: 10,
};
/** Done and seen asks for nothing. */
const READ = 7;

export class Sessions {
  #byId = $state.raw<ReadonlyMap<SessionId, Session>>(new Map());

  /** All of them, the most recently active first. */
  readonly list: readonly Session[] = $derived(
    [...this.#byId.values()].sort((a, b) => b.last_event_at - a.last_event_at),
  );

  /** All of them: who waits for the reader first, the longest wait on top; then the others by activity. */
  readonly byNeed: readonly Session[] = $derived([...this.#byId.values()].sort(compareNeed));

  /** How many have not ended. */
  readonly open: number = $derived(this.list.filter((session) => session.ended_at === undefined).length);

  /** How many wait for an answer. */
  readonly waiting: number = $derived(
    this.list.filter((session) => session.status.state === 'needs_you').length,
  );

  get(id: SessionId): Session | undefined {
    return this.#byId.get(id);
  }

  /** Takes these instead of all that was known. */
  replace(sessions: readonly Session[]): void {
    this.#byId = new Map(sessions.map((session) => [session.session_id, session]));
  }

  /** Takes the new state of some. */
  update(changed: readonly Session[]): void {
    const next = new Map(this.#byId);
    for (const session of changed) next.set(session.session_id, session);
    this.#byId = next;
  }
}

function urgencyOf({ status }: Session): number {
  return status.state === 'done' && !status.unread ? READ : URGENCY[status.state];
}

function compareNeed(a: Session, b: Session): number {
  const [first, second] = [urgencyOf(a), urgencyOf(b)];
  if (first !== second) return first - second;
  // Who waits longest comes first; who works keeps its place whatever it does.
  if (first <= URGENCY.done) return a.status.since - b.status.since;
  if (first <= URGENCY.background) return b.started_at - a.started_at;
  return b.last_event_at - a.last_event_at;
}

/** How many need the reader, are at it, and have not ended. */
export function countsOf(sessions: readonly Session[]): { waiting: number; working: number; open: number } {
  const count = (states: readonly Status['state'][]) =>
    sessions.filter(({ status }) => states.includes(status.state)).length;
  return {
    waiting: count(['needs_you']),
    working: count(['working', 'compacting', 'background']),
    open: sessions.filter(({ ended_at }) => ended_at === undefined).length,
  };
}
