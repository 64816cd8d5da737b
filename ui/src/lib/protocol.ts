// Generated from crates/protocol by `UPDATE=1 cargo test -p protocol typescript`. Do not edit.

/**
 * Milliseconds since 1970-01-01T00:00:00Z. Serialised as a plain number.
 */
export type Timestamp = number;

/**
 * Position in the log: 1, 2, 3 … in the order in which events were stored and broadcast.
 */
export type Seq = number;

/**
 * Identity of an event across deliveries (UUIDv7 when we mint it): sending it again changes nothing.
 */
export type EventId = string;

/**
 * Claude Code's `session_id`.
 */
export type SessionId = string;

/**
 * Claude Code's `agent_id`; absent on the main thread of a session.
 */
export type AgentId = string;

/**
 * Claude Code's `tool_use_id`: pairs a tool call's start with its end.
 */
export type ToolUseId = string;

/**
 * What happened. Unknown kinds are data, never an error.
 */
export type Kind = string;

/**
 * Who sent an event: the door it came by, or the sender that named itself.
 */
export type Source = "hook" | "mpm_hook" | "http" | "socketio" | "websocket" | "run" | "otlp" | "transcript" | "monitor";

/**
 * A stored event without its payload: what lists show and what is broadcast live.
 */
export type Row = { 
/**
 * Position in the log.
 */
seq: Seq, 
/**
 * Identity across deliveries.
 */
id: EventId, 
/**
 * When the server took it in.
 */
received_at: Timestamp, 
/**
 * When it happened, by the sender's clock; the server's when the sender named none.
 */
occurred_at: Timestamp, 
/**
 * Who sent it.
 */
source: Source, 
/**
 * What happened.
 */
kind: Kind, 
/**
 * The session it belongs to.
 */
session_id?: SessionId, 
/**
 * The subagent it belongs to; none on a session's main thread.
 */
agent_id?: AgentId, 
/**
 * The subagent's type, such as `Explore`.
 */
agent_type?: string, 
/**
 * The working directory of the session.
 */
project?: string, 
/**
 * The tool call it is about.
 */
tool_use_id?: ToolUseId, 
/**
 * The tool it is about, such as `Bash`.
 */
tool_name?: string, 
/**
 * The prompt (turn) it is about.
 */
prompt_id?: string, 
/**
 * How long it took, as the sender measured it.
 */
duration_ms?: number, 
/**
 * Whether it reports a failure.
 */
is_error: boolean, 
/**
 * One line for people, at most 300 bytes.
 */
summary: string, 
/**
 * A richer event about the same fact, when another sender delivered that too.
 */
duplicate_of?: Seq, };

/**
 * What is known of one Claude Code session.
 */
export type Session = { 
/**
 * Claude Code's id.
 */
session_id: SessionId, 
/**
 * The newest working directory.
 */
project?: string, 
/**
 * Its title, when Claude Code gave one.
 */
title?: string, 
/**
 * Its model, when known.
 */
model?: string, 
/**
 * When its first event happened.
 */
started_at: Timestamp, 
/**
 * When its newest event happened.
 */
last_event_at: Timestamp, 
/**
 * Position of its newest event.
 */
last_seq: Seq, 
/**
 * How many events were stored, duplicates not counted.
 */
events: number, 
/**
 * How many of them report a failure.
 */
errors: number, 
/**
 * How many tool calls were started.
 */
tool_calls: number, 
/**
 * The summary of its newest event.
 */
last_summary: string, 
/**
 * When it ended, after `SessionEnd`.
 */
ended_at?: Timestamp, 
/**
 * What it is doing.
 */
status: Status, 
/**
 * The tool calls that have not ended, the newest first; only the first few.
 */
current: Array<CurrentCall>, 
/**
 * Its subagents.
 */
agents: AgentCount, 
/**
 * How far its todo lists are; absent when it has none.
 */
todos?: Progress, 
/**
 * Claude Code's permission mode, such as `plan`.
 */
permission_mode?: string, 
/**
 * What it has used; absent when no transcript told it.
 */
tokens?: Tokens, 
/**
 * The git branch, when an event told it.
 */
branch?: string, };

/**
 * What a session is doing, and since when.
 */
export type Status = { 
/**
 * When it came into this state.
 */
since: Timestamp, } & ({ "state": "idle" } | { "state": "working", 
/**
 * The tool that runs; none while Claude thinks.
 */
tool?: string, } | { "state": "needs_you", 
/**
 * What is asked; of several questions the oldest.
 */
ask: Ask, 
/**
 * The subagent that asks; none for the main thread.
 */
agent_id?: AgentId, 
/**
 * How many questions are open.
 */
open: number, } | { "state": "compacting" } | { "state": "done", 
/**
 * Nobody marked it as read since.
 */
unread: boolean, } | { "state": "background", 
/**
 * How many.
 */
tasks: number, } | { "state": "scheduled", 
/**
 * How many schedules.
 */
schedules: number, } | { "state": "failed", 
/**
 * Claude Code's name of the error.
 */
error: string, 
/**
 * What it said.
 */
message?: string, } | { "state": "rate_limited", 
/**
 * What it said.
 */
message?: string, } | { "state": "interrupted" } | { "state": "closed", 
/**
 * Claude Code's reason.
 */
reason?: string, } | { "state": "lost" });

/**
 * The states of a session. Each follows from what was told, never from how long nothing was told.
 */
export type State = { "state": "idle" } | { "state": "working", 
/**
 * The tool that runs; none while Claude thinks.
 */
tool?: string, } | { "state": "needs_you", 
/**
 * What is asked; of several questions the oldest.
 */
ask: Ask, 
/**
 * The subagent that asks; none for the main thread.
 */
agent_id?: AgentId, 
/**
 * How many questions are open.
 */
open: number, } | { "state": "compacting" } | { "state": "done", 
/**
 * Nobody marked it as read since.
 */
unread: boolean, } | { "state": "background", 
/**
 * How many.
 */
tasks: number, } | { "state": "scheduled", 
/**
 * How many schedules.
 */
schedules: number, } | { "state": "failed", 
/**
 * Claude Code's name of the error.
 */
error: string, 
/**
 * What it said.
 */
message?: string, } | { "state": "rate_limited", 
/**
 * What it said.
 */
message?: string, } | { "state": "interrupted" } | { "state": "closed", 
/**
 * Claude Code's reason.
 */
reason?: string, } | { "state": "lost" };

/**
 * What somebody must answer.
 */
export type Ask = { "what": "permission", 
/**
 * The tool; unknown when only a late notification told of it.
 */
tool?: string, 
/**
 * What it would work on, in one line.
 */
summary: string, } | { "what": "question", 
/**
 * Its text.
 */
text: string, } | { "what": "plan" } | { "what": "elicitation", 
/**
 * The server; unknown when only a late notification told of it.
 */
server?: string, 
/**
 * Its text.
 */
message: string, };

/**
 * A tool call that has not ended.
 */
export type CurrentCall = { 
/**
 * The tool; unknown when only a late notification told of it.
 */
tool?: string, 
/**
 * What it works on, in one line.
 */
summary: string, 
/**
 * The subagent that called it; none for the main thread.
 */
agent_id?: AgentId, 
/**
 * When it was called.
 */
since: Timestamp, };

/**
 * How many subagents a session has had.
 */
export type AgentCount = { 
/**
 * All that are remembered.
 */
total: number, 
/**
 * Those that have not ended.
 */
running: number, };

/**
 * How far a todo list is.
 */
export type Progress = { 
/**
 * Finished entries.
 */
done: number, 
/**
 * All entries.
 */
total: number, 
/**
 * What is being done now.
 */
current?: string, };

/**
 * How many sessions there are, all that are stored.
 */
export type SessionCounts = { 
/**
 * All of them.
 */
total: number, 
/**
 * Those that have not ended.
 */
open: number, 
/**
 * Those that are done and nobody has seen it.
 */
unread: number, 
/**
 * Their agents that run.
 */
agents: number, 
/**
 * By the name of their state. Those that still wait to be computed anew are in none.
 */
states: Record<string, number>, };

/**
 * What a session has used, by the responses that its transcripts tell; its subagents are counted too.
 */
export type Tokens = { 
/**
 * Responses of the API.
 */
responses: number, 
/**
 * Tokens read that came from no cache.
 */
input: number, 
/**
 * Tokens written.
 */
output: number, 
/**
 * Tokens put into a cache.
 */
cache_write: number, 
/**
 * Tokens read from a cache.
 */
cache_read: number, 
/**
 * What the priced responses cost by the price table, in millionths of a US dollar. Computed, not billed.
 */
cost_usd_micros: number, 
/**
 * Responses of models that have no price: the cost is without them.
 */
unpriced: number, };

/**
 * A session with its agents, tool calls, todos, files, errors and turns.
 */
export type SessionDetail = { 
/**
 * Its subagents in the order in which they were first seen; parents lead to the tree.
 */
agent_tree: Array<Agent>, 
/**
 * Tool calls that have not ended, oldest first.
 */
open_calls: Array<ToolCall>, 
/**
 * The newest tool calls that ended, oldest first.
 */
recent_calls: Array<ToolCall>, 
/**
 * Its todo lists in one.
 */
todo_list: Array<Todo>, 
/**
 * The newest plan.
 */
plan?: Plan, 
/**
 * The files it touched lately, the newest touch last.
 */
files: Array<TouchedFile>, 
/**
 * The newest errors, oldest first.
 */
recent_errors: Array<Failure>, 
/**
 * What goes on behind the turns, other than subagents.
 */
background: Array<BackgroundTask>, 
/**
 * The newest turns, oldest first.
 */
recent_turns: Array<Turn>, 
/**
 * Claude Code's id.
 */
session_id: SessionId, 
/**
 * The newest working directory.
 */
project?: string, 
/**
 * Its title, when Claude Code gave one.
 */
title?: string, 
/**
 * Its model, when known.
 */
model?: string, 
/**
 * When its first event happened.
 */
started_at: Timestamp, 
/**
 * When its newest event happened.
 */
last_event_at: Timestamp, 
/**
 * Position of its newest event.
 */
last_seq: Seq, 
/**
 * How many events were stored, duplicates not counted.
 */
events: number, 
/**
 * How many of them report a failure.
 */
errors: number, 
/**
 * How many tool calls were started.
 */
tool_calls: number, 
/**
 * The summary of its newest event.
 */
last_summary: string, 
/**
 * When it ended, after `SessionEnd`.
 */
ended_at?: Timestamp, 
/**
 * What it is doing.
 */
status: Status, 
/**
 * The tool calls that have not ended, the newest first; only the first few.
 */
current: Array<CurrentCall>, 
/**
 * Its subagents.
 */
agents: AgentCount, 
/**
 * How far its todo lists are; absent when it has none.
 */
todos?: Progress, 
/**
 * Claude Code's permission mode, such as `plan`.
 */
permission_mode?: string, 
/**
 * What it has used; absent when no transcript told it.
 */
tokens?: Tokens, 
/**
 * The git branch, when an event told it.
 */
branch?: string, };

/**
 * A subagent.
 */
export type Agent = { 
/**
 * Claude Code's id.
 */
agent_id: AgentId, 
/**
 * Its type, such as `Explore`.
 */
agent_type?: string, 
/**
 * What it was asked to do, in a few words.
 */
description?: string, 
/**
 * Who started it.
 */
parent: Parent, 
/**
 * Whether its parent goes on without waiting for it.
 */
is_background: boolean, 
/**
 * Whether it runs.
 */
status: AgentStatus, 
/**
 * When it was first heard of.
 */
started_at: Timestamp, 
/**
 * How many tools it called.
 */
tool_calls: number, 
/**
 * What it said last, in one line.
 */
last_message?: string, };

/**
 * Who started a subagent. Only the result of the starting call tells it.
 */
export type Parent = { "of": "unknown" } | { "of": "main" } | { "of": "agent", 
/**
 * Which.
 */
agent_id: AgentId, };

/**
 * Whether a subagent runs.
 */
export type AgentStatus = { "state": "running" } | { "state": "ended", 
/**
 * When.
 */
at: Timestamp, } | { "state": "end_unknown", 
/**
 * When that became clear.
 */
at: Timestamp, };

/**
 * A tool call.
 */
export type ToolCall = { 
/**
 * Claude Code's id; claude-mpm's Python hook tells none.
 */
tool_use_id?: ToolUseId, 
/**
 * The tool; unknown when only a late notification told of it.
 */
tool?: string, 
/**
 * What it works on, in one line.
 */
summary: string, 
/**
 * The subagent that called it; none for the main thread.
 */
agent_id?: AgentId, 
/**
 * Position of the first event that told of it.
 */
seq: Seq, 
/**
 * When it was called; when its start was lost, when it began to run as far as its end tells.
 */
started_at: Timestamp, 
/**
 * When the user was asked for permission.
 */
asked_at?: Timestamp, 
/**
 * How it ended; absent while it has not.
 */
end?: CallEnd, };

/**
 * How a tool call ended.
 */
export type CallEnd = { 
/**
 * When.
 */
at: Timestamp, 
/**
 * With what outcome.
 */
outcome: Outcome, 
/**
 * How long the tool itself ran, as Claude Code measured it.
 */
execution_ms?: number, 
/**
 * How long it waited before that, for permission and for hooks; known when both start and execution are.
 */
wait_ms?: number, };

/**
 * What came of a tool call.
 */
export type Outcome = "ok" | "failed" | "denied" | "interrupted" | "unknown";

/**
 * One entry of a todo list.
 */
export type Todo = { 
/**
 * The id of a task; entries of a `TodoWrite` list have none.
 */
task_id?: string, 
/**
 * What is to be done.
 */
text: string, 
/**
 * How far it is.
 */
status: TodoStatus, 
/**
 * What to show while it is being done.
 */
active_form?: string, 
/**
 * Who is to do it.
 */
owner?: string, 
/**
 * The subagent whose list it is on; none for the main thread and for tasks.
 */
agent_id?: AgentId, };

/**
 * How far a todo is.
 */
export type TodoStatus = "pending" | "in_progress" | "completed";

/**
 * A plan that Claude proposed.
 */
export type Plan = { 
/**
 * Its beginning.
 */
text: string, 
/**
 * The file that holds it.
 */
path?: string, 
/**
 * Position of the event that holds all of it.
 */
seq: Seq, 
/**
 * When it was proposed.
 */
at: Timestamp, 
/**
 * Whether it was accepted.
 */
is_approved: boolean, };

/**
 * A file that tools worked on.
 */
export type TouchedFile = { 
/**
 * Its path, as the tool was told.
 */
path: string, 
/**
 * How often it was read.
 */
reads: number, 
/**
 * How often it was written whole.
 */
writes: number, 
/**
 * How often it was edited.
 */
edits: number, 
/**
 * What was done last.
 */
last: FileUse, 
/**
 * When.
 */
last_at: Timestamp, 
/**
 * Position of the event that told it.
 */
last_seq: Seq, 
/**
 * The subagent that did it; none for the main thread.
 */
agent_id?: AgentId, };

/**
 * What a tool does with a file.
 */
export type FileUse = "read" | "write" | "edit";

/**
 * An error that an event reported.
 */
export type Failure = { 
/**
 * Position of the event.
 */
seq: Seq, 
/**
 * When it happened.
 */
at: Timestamp, 
/**
 * The tool that failed.
 */
tool?: string, 
/**
 * The subagent it happened to; none for the main thread.
 */
agent_id?: AgentId, 
/**
 * What happened, in one line.
 */
text: string, };

/**
 * Something that goes on behind the turns.
 */
export type BackgroundTask = { 
/**
 * Claude Code's id.
 */
id: string, 
/**
 * Its type: `shell`, `monitor`, `workflow` …
 */
kind: string, 
/**
 * What it does, in one line.
 */
description?: string, };

/**
 * From a prompt to the end of the work on it.
 */
export type Turn = { 
/**
 * Position of its first event.
 */
seq: Seq, 
/**
 * The prompt, in one line; absent when it began without one.
 */
prompt?: string, 
/**
 * When it began.
 */
started_at: Timestamp, 
/**
 * How many tools were called in it, by all agents.
 */
tool_calls: number, 
/**
 * How it ended; absent while it has not.
 */
end?: TurnEnd, };

/**
 * How a turn ended.
 */
export type TurnEnd = { 
/**
 * When.
 */
at: Timestamp, 
/**
 * With what outcome; `unknown` when something else began before its end was told.
 */
outcome: Outcome, };

/**
 * Client → server, event `subscribe`. Everything is optional.
 */
export type Subscribe = { 
/**
 * Send what came after this position; without it, the newest rows.
 */
after?: Seq, 
/**
 * How many rows the snapshot may hold (default 500, at most 1000).
 */
limit: number, 
/**
 * Only rows that match.
 */
filter?: Filter, };

/**
 * Which rows a subscriber wants: each given field must match.
 */
export type Filter = { 
/**
 * Exactly this session.
 */
session?: string, 
/**
 * Exactly this project, or a folder above it.
 */
project?: string, 
/**
 * One of these kinds.
 */
kinds?: Array<string>, 
/**
 * Exactly this tool.
 */
tool?: string, 
/**
 * This agent's id or type.
 */
agent?: string, 
/**
 * Only failures (`true`) or only the rest (`false`).
 */
error?: boolean, };

/**
 * Server → client, the acknowledgement of `subscribe`.
 */
export type Snapshot = { 
/**
 * Identity of the store; another one means that positions start over.
 */
epoch: string, 
/**
 * Version of the server; a page from another version offers to reload.
 */
server_version: string, 
/**
 * Position up to which the snapshot is complete; live rows come after it.
 */
last_seq: Seq, 
/**
 * Rows, oldest first.
 */
snapshot: Array<Row>, 
/**
 * Sessions, the most recently active first, and behind them some that wait for their user however long ago they were.
 */
sessions: Array<Session>, 
/**
 * How many there are in all.
 */
counts: SessionCounts, 
/**
 * With `after`: more rows lie between the last one sent and `last_seq`. Without: older rows exist.
 */
has_more: boolean, };

/**
 * Server → client, event `events`: new rows in order, at most 20 batches a second, or 40 to a client that catches up.
 * Event `unstored`: rows that could not be kept; their position is 0, and this is the only time they are shown.
 */
export type Batch = { 
/**
 * Oldest first.
 */
rows: Array<Row>, };

/**
 * Server → client, event `gap`: rows that this subscriber was too slow for; `GET /api/events?after=` has
 * them.
 */
export type Gap = { 
/**
 * First missed position.
 */
from: Seq, 
/**
 * Last missed position.
 */
to: Seq, };

/**
 * Server → client, event `sessions`: sessions that changed.
 */
export type SessionsChanged = { 
/**
 * Their new state.
 */
changed: Array<Session>, 
/**
 * How many sessions there are in all now.
 */
counts: SessionCounts, };

/**
 * The answer of `GET /api/settings`.
 */
export type Configuration = { 
/**
 * Every key, in the order in which they are documented. Empty where a program set the server up by itself.
 */
settings: Array<Setting>, 
/**
 * Its files and folders.
 */
paths: Array<Place>, };

/**
 * A key with what applies.
 */
export type Setting = { 
/**
 * The key of the configuration file.
 */
key: string, 
/**
 * What applies.
 */
value: unknown, 
/**
 * What kind of source said so: `flag`, `environment`, `file`, `profile`, `detected`, `default`.
 */
from: string, 
/**
 * Which one: the flag, the variable, the file.
 */
by?: string, 
/**
 * The environment variables that set it, the strongest first.
 */
environment: Array<string>, 
/**
 * What it decides.
 */
about: string, };

/**
 * A file or folder of a server.
 */
export type Place = { 
/**
 * What it is: `configuration`, `store`, `spool`, `log`, `runfile`, `prices`, `token`.
 */
name: string, 
/**
 * Where it is.
 */
path: string, };

/**
 * A server that this user runs.
 */
export type Instance = { 
/**
 * Its port.
 */
port: number, 
/**
 * Where its dashboard is.
 */
url: string, 
/**
 * The serving process.
 */
pid: number, 
/**
 * Random identity of its run.
 */
server_id: string, 
/**
 * Its version.
 */
version: string, 
/**
 * The project it was started for; none takes every project.
 */
project?: string, 
/**
 * `running`, or `not answering`.
 */
status: string, };

/**
 * A server of claude-mpm's own on this machine, written in Python, as `/api/legacy` lists them.
 */
export type LegacyServer = { 
/**
 * Its port.
 */
port: number, 
/**
 * What it is, for people.
 */
name: string, 
/**
 * The serving process; none when neither it nor the system tells.
 */
pid?: number, 
/**
 * Its version, as it says itself.
 */
version?: string, };

/**
 * Who serves and how it fares. The fields of a foreign or older monitor that are missing take defaults, so
 * that a probe can read any of them.
 */
export type Health = { 
/**
 * `running`.
 */
status: string, 
/**
 * `claude-mpm-monitor`.
 */
service: string, 
/**
 * Version of this product.
 */
version: string, 
/**
 * The port served.
 */
port: number, 
/**
 * The serving process.
 */
pid: number | null, 
/**
 * Whole seconds since start.
 */
uptime: number, 
/**
 * The host it was asked to listen on.
 */
host: string, 
/**
 * Same as `version`; the name that standalone servers use.
 */
server_version: string, 
/**
 * Random identity of this server run, also in its runfile.
 */
server_id: string, 
/**
 * Seconds since start, with fraction.
 */
uptime_seconds: number, 
/**
 * When it started, RFC 3339.
 */
start_time: string, 
/**
 * Now, by the server's clock, RFC 3339.
 */
timestamp: string, 
/**
 * Connected viewers, all transports.
 */
clients_connected: number, 
/**
 * Versions that clients named when they connected, by connection.
 */
client_versions: { [key in string]: string }, 
/**
 * Counters since start.
 */
health_stats: HealthStats, 
/**
 * Versions of what it is built on.
 */
dependencies: { [key in string]: string }, 
/**
 * `ok`, or `degraded: <reason>`.
 */
store: string, 
/**
 * While sessions are computed anew that another version of the monitor wrote.
 */
rebuild: Rebuild | null, 
/**
 * How the spool fares.
 */
spool: SpoolHealth, 
/**
 * Whether events are kept.
 */
capture: CaptureHealth, 
/**
 * Position of the newest stored event.
 */
last_seq: Seq, 
/**
 * `foreground`, `background` or `desktop`.
 */
mode: string, 
/**
 * Where the dashboard is to be opened; none when it is switched off.
 */
dashboard_port: number | null, 
/**
 * `development`, `production` or `docker`.
 */
profile: string, };

/**
 * Counters since start.
 */
export type HealthStats = { 
/**
 * Events stored.
 */
events_processed: number, 
/**
 * Clients that ever connected.
 */
clients_served: number, 
/**
 * Events refused.
 */
errors: number, 
/**
 * When the newest event was stored.
 */
last_activity: Timestamp | null, };

/**
 * How far something is that takes a while.
 */
export type Rebuild = { 
/**
 * So many sessions are done.
 */
done: number, 
/**
 * Of so many.
 */
total: number, };

/**
 * Whether events are kept.
 */
export type CaptureHealth = { 
/**
 * Events that come now are not kept.
 */
paused: boolean, 
/**
 * When the pause ends by itself.
 */
until: Timestamp | null, 
/**
 * Events not kept since start.
 */
skipped: number, };

/**
 * How the spool fares, in `/health`.
 */
export type SpoolHealth = { 
/**
 * Events that lie in the spool.
 */
waiting: number, 
/**
 * Events that hooks could not keep, because the spool or the disk was full, or the spool was not to be used: lost.
 * Ever.
 */
refused: number, 
/**
 * Spooled files that were no event; moved aside. Since the server's start.
 */
rejected: number, 
/**
 * Why the spool is not to be used now, and the way out. Events are lost while no server answers their hooks.
 */
problem?: string, };

/**
 * What the events that match a query have in common.
 */
export type Figures = { 
/**
 * How many events were counted.
 */
events: number, 
/**
 * How many of them report a failure.
 */
errors: number, 
/**
 * Whether all that match were counted; otherwise only the newest.
 */
is_complete: boolean, 
/**
 * When the first counted bucket begins.
 */
from: Timestamp, 
/**
 * Width of a bucket, in milliseconds.
 */
bucket_ms: number, 
/**
 * The counted events by when they happened, without holes.
 */
buckets: Array<Bucket>, 
/**
 * How long tool calls ran.
 */
calls: Spread, 
/**
 * The time between an event and its arrival, for events that hooks sent.
 */
delivery: Spread, 
/**
 * By tool, the most frequent first.
 */
tools: Array<Share>, 
/**
 * By kind.
 */
kinds: Array<Share>, 
/**
 * By session.
 */
sessions: Array<Share>, 
/**
 * By the name of the project's folder.
 */
projects: Array<Share>, 
/**
 * By type of subagent; `main` for none.
 */
agents: Array<Share>, 
/**
 * By the door or sender they came from.
 */
sources: Array<Share>, 
/**
 * Size of the store on disk, in bytes.
 */
store_bytes: number, };

/**
 * The events of one stretch of time.
 */
export type Bucket = { 
/**
 * How many.
 */
events: number, 
/**
 * How many of them report a failure.
 */
errors: number, 
/**
 * How long the tool calls that ended in it ran.
 */
calls: Spread, };

/**
 * How a duration spreads, in milliseconds; all 0 when there is none.
 */
export type Spread = { 
/**
 * How many.
 */
count: number, 
/**
 * Half of them are shorter.
 */
p50_ms: number, 
/**
 * 95 % of them are shorter.
 */
p95_ms: number, 
/**
 * The longest.
 */
max_ms: number, };

/**
 * The events that have one value.
 */
export type Share = { 
/**
 * The value.
 */
name: string, 
/**
 * How many.
 */
events: number, 
/**
 * How many of them report a failure.
 */
errors: number, 
/**
 * How long its tool calls ran.
 */
calls: Spread, 
/**
 * When its newest event happened.
 */
last_at: Timestamp, 
/**
 * The project of a session.
 */
project?: string, };

/**
 * One connected viewer.
 */
export type ClientInfo = { 
/**
 * Random, for as long as it is connected.
 */
id: string, 
/**
 * What it is, for people: `Browser`, `CLI Monitor`, `Hook`, `Python`, `Node.js`, `External Tool`, or what it
 * registered as.
 */
kind: string, 
/**
 * What it calls itself.
 */
name: string | null, 
/**
 * Where it connects from: address and port.
 */
address: string, 
/**
 * `socket.io websocket`, `socket.io polling` or `websocket`.
 */
transport: string, 
/**
 * The Socket.IO namespace.
 */
namespace: string | null, 
/**
 * The version that it named.
 */
version: string | null, 
/**
 * Since when, in milliseconds since 1970.
 */
connected_at: Timestamp, };

/**
 * How the hooks fare, and what could be done.
 */
export type Hooks = { 
/**
 * How they fare.
 */
report: HooksReport, 
/**
 * What an install for this user would change.
 */
install: PlannedChange, 
/**
 * What an uninstall would change.
 */
uninstall: PlannedChange, };

/**
 * A change of settings that was planned and not made.
 */
export type PlannedChange = { 
/**
 * The files, as a unified diff; empty when there is nothing to change.
 */
diff: string, 
/**
 * Why it cannot be made, and what to do about it.
 */
problem: string | null, };

/**
 * What to do with the hooks: the body of `POST /api/hooks`.
 */
export type HooksOrder = { 
/**
 * Which of the two.
 */
action: HooksAction, 
/**
 * The diff that the user was shown. When it would be another one by now, nothing is changed.
 */
diff: string, };

/**
 * The two changes.
 */
export type HooksAction = "install" | "uninstall";

/**
 * Everything that can be said without running a hook.
 */
export type HooksReport = { 
/**
 * The version of Claude Code; nothing when it could not be asked.
 */
claude_version: string | null, 
/**
 * The executable that the settings name.
 */
hook: string, 
/**
 * The settings files that count.
 */
files: Array<HooksFile>, 
/**
 * The slash command's file, when it is installed.
 */
slash_command: string | null, 
/**
 * What is wrong or worth knowing, the worst first.
 */
problems: Array<HooksProblem>, 
/**
 * Whether our hook is registered for any event.
 */
is_installed: boolean, 
/**
 * Whether it is, and nothing that we know of keeps it from running.
 */
is_working: boolean, };

/**
 * One settings file.
 */
export type HooksFile = { 
/**
 * Whose it is.
 */
scope: Scope, 
/**
 * Where it lies.
 */
path: string, 
/**
 * Whether there is such a file.
 */
exists: boolean, 
/**
 * The events that our hook is registered for.
 */
events: Array<string>, };

/**
 * Whose settings a file holds.
 */
export type Scope = "user" | "project" | "local" | "managed";

/**
 * Something that is wrong or worth knowing.
 */
export type HooksProblem = { 
/**
 * Whether events do not come because of it.
 */
is_fatal: boolean, 
/**
 * What it is, as a sentence.
 */
text: string, 
/**
 * What to do about it.
 */
way_out: string | null, };

/**
 * `{"code","message"}`. Clients branch on `code`; `message` is for people and may change.
 */
export type ErrorBody = { 
/**
 * Stable, snake_case.
 */
code: string, 
/**
 * What was wrong, where, and the way out.
 */
message: string, };
