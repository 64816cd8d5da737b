// The known sessions, newest activity first.
import type { Session, SessionId } from './protocol';

export class Sessions {
  #byId = $state.raw<ReadonlyMap<SessionId, Session>>(new Map());

  /** All of them, the most recently active first. */
  readonly list: readonly Session[] = $derived(
    [...this.#byId.values()].sort((a, b) => b.last_event_at - a.last_event_at),
  );

  /** How many have not ended. */
  readonly open: number = $derived(this.list.filter((session) => session.ended_at === undefined).length);

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
