// The known sessions: by newest activity, and by who needs the reader most.
import { countsOf } from '../link/counts';
import type { Session, SessionCounts, SessionId, Status } from '../protocol';

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
  /** As the monitor counts all that it has; without it, those that are loaded are all. */
  #counted = $state.raw<SessionCounts | null>(null);

  /** Those that are loaded, the most recently active first. */
  readonly list: readonly Session[] = $derived(
    [...this.#byId.values()].sort((a, b) => b.last_event_at - a.last_event_at),
  );

  /** The loaded ones: who waits for the reader first, the longest wait on top; then the others by activity. */
  readonly byNeed: readonly Session[] = $derived([...this.#byId.values()].sort(compareNeed));

  /** How many there are, loaded or not. */
  readonly counts: SessionCounts = $derived(this.#counted ?? countsOf(this.list));

  /** How many wait for an answer. */
  readonly waiting: number = $derived(countIn(this.counts, ['needs_you']));

  get(id: SessionId): Session | undefined {
    return this.#byId.get(id);
  }

  /** Takes these instead of all that was known. */
  replace(sessions: readonly Session[], counts?: SessionCounts): void {
    this.#counted = counts ?? null;
    this.#byId = new Map(sessions.map((session) => [session.session_id, session]));
  }

  /** Takes the new state of some. */
  update(changed: readonly Session[], counts?: SessionCounts): void {
    this.#counted = counts ?? null;
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

/** The states of a session that is at it. */
export const AT_WORK = ['working', 'compacting'] as const;

/** What of them is told of a monitor in one line. */
export function gistOf(counts: SessionCounts): readonly [waiting: number, working: number, open: number] {
  return [countIn(counts, ['needs_you']), countIn(counts, [...AT_WORK, 'background']), counts.open];
}

/** How many are in one of these states. */
export function countIn(counts: SessionCounts, states: readonly Status['state'][]): number {
  return states.reduce((sum, state) => sum + (counts.states[state] ?? 0), 0);
}
