// Counts of sessions, for a monitor of another version that tells none.
import type { Session, SessionCounts } from '../protocol';

/** Counts sessions that are all there are. */
export function countsOf(sessions: readonly Session[]): SessionCounts {
  const states: Record<string, number> = {};
  for (const { status } of sessions) states[status.state] = (states[status.state] ?? 0) + 1;
  return {
    total: sessions.length,
    open: sessions.filter(({ ended_at }) => ended_at === undefined).length,
    unread: sessions.filter(({ status }) => status.state === 'done' && status.unread).length,
    agents: sessions.reduce((sum, { agents }) => sum + agents.running, 0),
    states,
  };
}
