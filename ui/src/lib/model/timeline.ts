// The turns, agents and tool calls of one session, folded from its rows; of any beginning of them, too, which is
// what a replay shows.
import { toolLabel } from '../names';
import type { AgentId, Row, Seq, Timestamp } from '../protocol';
import { isNotice } from './notice';

export type CallOutcome = 'open' | 'ok' | 'failed' | 'denied' | 'unknown';

export interface Call {
  /** Position of its first event. */
  seq: Seq;
  tool: string;
  /** What it works on, in one line. */
  what: string;
  agent: AgentId | null;
  start: Timestamp;
  /** When the user was asked for permission. */
  asked: Timestamp | null;
  /** Null while it goes on. */
  end: Timestamp | null;
  /** How long the tool itself ran, as Claude Code measured it. */
  run: number | null;
  outcome: CallOutcome;
}

/** A stretch of time: a turn, or an agent at work. */
export interface Span {
  seq: Seq;
  label: string;
  start: Timestamp;
  /** Null while it goes on. */
  end: Timestamp | null;
  failed: boolean;
}

export interface AgentSpan extends Span {
  id: AgentId;
}

export class Timeline {
  readonly calls: Call[] = [];
  readonly turns: Span[] = [];
  readonly agents: AgentSpan[] = [];
  readonly errors: Row[] = [];
  /** When the newest of the rows happened. */
  last: Timestamp = 0;
  first: Timestamp = Infinity;

  #open: Call[] = [];
  #byId = new Map<string, Call>();
  /** Which prompt the newest turn began with. */
  #promptId: string | undefined;
  #agents = new Map<AgentId, AgentSpan>();

  /** Takes the next rows, in the order of their positions. */
  add(rows: readonly Row[]): void {
    for (const row of rows) this.#addOne(row);
  }

  #addOne(row: Row): void {
    const at = row.occurred_at;
    this.last = Math.max(this.last, at);
    this.first = Math.min(this.first, at);
    if (row.is_error) this.errors.push(row);
    if (row.agent_id !== undefined) this.#agentOf(row.agent_id, row);
    switch (row.kind) {
      case 'UserPromptSubmit':
        this.#prompted(row);
        break;
      case 'Stop':
      case 'StopFailure':
        this.#endTurn(at, row.is_error);
        this.#abandon(at, (call) => call.agent === null);
        break;
      case 'SubagentStop':
        this.#endAgent(row);
        break;
      case 'SessionEnd':
      case 'session.lost':
        this.#endTurn(at, false);
        this.#abandon(at, () => true);
        for (const agent of this.agents) agent.end ??= at;
        break;
      case 'PreToolUse':
        this.#start(row, at);
        break;
      case 'PermissionRequest':
        this.#asked(row);
        break;
      case 'PermissionDenied':
        this.#end(row, 'denied');
        break;
      case 'PostToolUse':
        this.#end(row, row.is_error ? 'failed' : 'ok');
        break;
      case 'PostToolUseFailure':
        this.#end(row, 'failed');
        break;
    }
  }

  /** A prompt ends the turn before, but for one that waits until Claude is done, and what nobody typed. */
  #prompted(row: Row): void {
    const notice = isNotice(row);
    const running = this.turns.at(-1)?.end === null;
    if (running && (notice || (row.prompt_id !== undefined && row.prompt_id === this.#promptId))) return;
    this.#promptId = row.prompt_id;
    this.#endTurn(row.occurred_at, false);
    const label = whatOf(row, notice ? 'Notice' : 'Prompt');
    this.turns.push({ seq: row.seq, label, start: row.occurred_at, end: null, failed: false });
  }

  #start(row: Row, start: Timestamp): Call {
    const call: Call = {
      seq: row.seq,
      tool: toolLabel(row.tool_name ?? row.kind),
      what: whatOf(row, toolLabel(row.tool_name ?? '')),
      agent: row.agent_id ?? null,
      start,
      asked: null,
      end: null,
      run: null,
      outcome: 'open',
    };
    this.calls.push(call);
    this.#open.push(call);
    if (row.tool_use_id !== undefined) this.#byId.set(row.tool_use_id, call);
    return call;
  }

  /** The open call that the row is about: by its id, else the oldest of the same tool and agent. */
  #find(row: Row): Call | undefined {
    if (row.tool_use_id !== undefined) return this.#byId.get(row.tool_use_id);
    const tool = toolLabel(row.tool_name ?? '');
    return this.#open.find((call) => call.tool === tool && call.agent === (row.agent_id ?? null));
  }

  #asked(row: Row): void {
    const call = this.#find(row);
    if (call !== undefined) call.asked = row.occurred_at;
    else if (row.tool_name !== undefined) this.#start(row, row.occurred_at).asked = row.occurred_at;
  }

  #end(row: Row, outcome: CallOutcome): void {
    if (row.tool_name === undefined && row.tool_use_id === undefined) return;
    const at = row.occurred_at;
    // Its start was lost: it began to run as long ago as it ran.
    const call = this.#find(row) ?? this.#start(row, at - (row.duration_ms ?? 0));
    if (call.outcome !== 'open' && call.outcome !== 'unknown') return;
    call.end = Math.max(call.start, at);
    call.run = row.duration_ms ?? null;
    call.outcome = outcome;
    this.#open = this.#open.filter((other) => other !== call);
  }

  #abandon(at: Timestamp, isOver: (call: Call) => boolean): void {
    for (const call of this.#open) {
      if (!isOver(call)) continue;
      call.end = Math.max(call.start, at);
      call.outcome = 'unknown';
    }
    this.#open = this.#open.filter((call) => call.outcome === 'open');
  }

  #endTurn(at: Timestamp, failed: boolean): void {
    const turn = this.turns.at(-1);
    if (turn === undefined || turn.end !== null) return;
    turn.end = Math.max(turn.start, at);
    turn.failed = failed;
  }

  #agentOf(id: AgentId, row: Row): AgentSpan {
    let agent = this.#agents.get(id);
    if (agent === undefined) {
      const label = row.agent_type ?? id.slice(0, 8);
      agent = { id, seq: row.seq, label, start: row.occurred_at, end: null, failed: false };
      this.#agents.set(id, agent);
      this.agents.push(agent);
    }
    return agent;
  }

  #endAgent(row: Row): void {
    if (row.agent_id === undefined) return;
    const agent = this.#agentOf(row.agent_id, row);
    agent.end = Math.max(agent.start, row.occurred_at);
    agent.failed = row.is_error;
    this.#abandon(row.occurred_at, (call) => call.agent === agent.id);
  }
}

/** How long it waited before it ran, for permission and for hooks; null when nobody can tell. */
export function waitOf({ start, end, run }: Call): number | null {
  return end === null || run === null ? null : Math.max(0, end - start - run);
}

/** When it stopped waiting: known from its end; while it waits for permission, not yet. */
export function runStart(call: Call): Timestamp | null {
  if (call.end !== null) return call.run === null ? call.start : Math.max(call.start, call.end - call.run);
  return call.asked === null ? call.start : null;
}

/** Its outcome, or what it is doing. */
export function stateOf(call: Call): CallOutcome | 'waiting' {
  return call.outcome === 'open' && call.asked !== null ? 'waiting' : call.outcome;
}

/** The summary without the tool's name. */
function whatOf({ summary }: Row, lead: string): string {
  const parts = summary.split('  ').filter((part) => part !== '');
  if (parts[0] === lead) parts.shift();
  return parts.filter((part) => !/^[→✗]/.test(part)).join('  ');
}
