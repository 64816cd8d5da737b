// Kind → row: one map that says how each kind looks, and a plain look for all others.
import type { IconName } from '../components/icons';
import { isNotice } from '../lib/model/notice';
import { toolLabel } from '../lib/names';
import type { Row } from '../lib/protocol';
import { texts } from '../lib/show/texts';

/** Groups of kinds that share a colour; the glyph and the label say the same without it. */
export type Tone = 'plain' | 'quiet' | 'prompt' | 'tool' | 'good' | 'attention' | 'bad' | 'agent';

export interface Look {
  icon: IconName;
  tone: Tone;
  label: string;
  /** The tool's name stands for the label where the row has one. */
  byTool?: true;
  /** The part of the summary that begins so stands for the label. */
  bySummary?: string;
  /** What the label says in other words than the beginning of the summary. */
  says?: readonly string[];
}

const { kinds } = texts;

const LOOKS: ReadonlyMap<string, Look> = new Map<string, Look>([
  ['SessionStart', { icon: 'play', tone: 'good', label: kinds.SessionStart, bySummary: 'Session ' }],
  ['Setup', { icon: 'gear', tone: 'quiet', label: kinds.Setup }],
  ['InstructionsLoaded', { icon: 'book', tone: 'quiet', label: kinds.InstructionsLoaded }],
  ['UserPromptSubmit', { icon: 'prompt', tone: 'prompt', label: kinds.UserPromptSubmit }],
  ['UserPromptExpansion', { icon: 'slash', tone: 'prompt', label: kinds.UserPromptExpansion }],
  ['MessageDisplay', { icon: 'message', tone: 'plain', label: kinds.MessageDisplay }],
  ['PreToolUse', { icon: 'start', tone: 'tool', label: kinds.PreToolUse, byTool: true }],
  ['PermissionRequest', { icon: 'hand', tone: 'attention', label: kinds.PermissionRequest }],
  ['PermissionDenied', { icon: 'denied', tone: 'bad', label: kinds.PermissionDenied }],
  ['PostToolUse', { icon: 'check', tone: 'good', label: kinds.PostToolUse, byTool: true }],
  ['PostToolUseFailure', { icon: 'cross', tone: 'bad', label: kinds.PostToolUseFailure, byTool: true }],
  ['PostToolBatch', { icon: 'check', tone: 'quiet', label: kinds.PostToolBatch }],
  ['Notification', { icon: 'bell', tone: 'attention', label: kinds.Notification }],
  ['SubagentStart', { icon: 'agent', tone: 'agent', label: kinds.SubagentStart, says: ['started'] }],
  ['SubagentStop', { icon: 'agentDone', tone: 'agent', label: kinds.SubagentStop, says: ['finished'] }],
  ['TaskCreated', { icon: 'task', tone: 'plain', label: kinds.TaskCreated }],
  ['TaskCompleted', { icon: 'taskDone', tone: 'good', label: kinds.TaskCompleted }],
  ['Stop', { icon: 'flag', tone: 'good', label: kinds.Stop }],
  ['StopFailure', { icon: 'cross', tone: 'bad', label: kinds.StopFailure }],
  ['TeammateIdle', { icon: 'moon', tone: 'quiet', label: kinds.TeammateIdle }],
  ['ConfigChange', { icon: 'gear', tone: 'plain', label: kinds.ConfigChange }],
  ['CwdChanged', { icon: 'folder', tone: 'quiet', label: kinds.CwdChanged }],
  ['DirectoryAdded', { icon: 'folder', tone: 'quiet', label: kinds.DirectoryAdded }],
  ['FileChanged', { icon: 'file', tone: 'quiet', label: kinds.FileChanged }],
  ['WorktreeCreate', { icon: 'branch', tone: 'plain', label: kinds.WorktreeCreate }],
  ['WorktreeRemove', { icon: 'branch', tone: 'quiet', label: kinds.WorktreeRemove }],
  ['PreCompact', { icon: 'compress', tone: 'plain', label: kinds.PreCompact }],
  ['PostCompact', { icon: 'compress', tone: 'good', label: kinds.PostCompact }],
  ['Elicitation', { icon: 'hand', tone: 'attention', label: kinds.Elicitation }],
  ['ElicitationResult', { icon: 'message', tone: 'good', label: kinds.ElicitationResult }],
  ['SessionEnd', { icon: 'stop', tone: 'quiet', label: kinds.SessionEnd }],
  ['session.lost', { icon: 'stop', tone: 'bad', label: kinds['session.lost'] }],
  ['todo_updated', { icon: 'task', tone: 'plain', label: kinds.todo_updated }],
  ['token_usage_updated', { icon: 'gauge', tone: 'quiet', label: kinds.token_usage_updated }],
  ['hook_execution', { icon: 'gear', tone: 'quiet', label: kinds.hook_execution }],
  ['command_acknowledged', { icon: 'check', tone: 'quiet', label: kinds.command_acknowledged }],
  ['system.started', { icon: 'play', tone: 'quiet', label: kinds['system.started'] }],
  ['system.stopped', { icon: 'stop', tone: 'quiet', label: kinds['system.stopped'] }],
  ['client.connected', { icon: 'link', tone: 'quiet', label: kinds['client.connected'] }],
  ['client.disconnected', { icon: 'link', tone: 'quiet', label: kinds['client.disconnected'] }],
  ['assistant_response', { icon: 'message', tone: 'plain', label: kinds.assistant_response }],
]);

/** No word of the user's, though it came as one. */
const NOTICE: Look = { icon: 'bell', tone: 'quiet', label: texts.notice };

type Subject = Pick<Row, 'kind' | 'tool_name' | 'is_error' | 'agent_type' | 'summary'>;

/** How a row looks. A kind not in the map shows its own name; a failure always shows as one. */
export function lookOf(row: Subject): Look {
  const look = isNotice(row)
    ? NOTICE
    : (LOOKS.get(row.kind) ?? { icon: 'dot', tone: 'plain', label: row.kind });
  let { label } = look;
  if (look.byTool && row.tool_name) label = toolLabel(row.tool_name);
  if (look.bySummary)
    label = partsOf(row.summary).find((part) => part.startsWith(look.bySummary ?? '')) ?? label;
  return row.is_error ? { ...look, label, tone: 'bad', icon: 'cross' } : { ...look, label };
}

/**
 * What the summary says beyond the label and the agent's name, which have their own places: the main thing
 * first, then details and outcome.
 */
export function detailsOf(row: Subject): string[] {
  const said = new Set([lookOf(row).label, row.agent_type, ...(LOOKS.get(row.kind)?.says ?? [])]);
  const parts = partsOf(row.summary);
  const first = parts.findIndex((part) => !said.has(part));
  return first === -1 ? [] : parts.slice(first);
}

/** The monitor separates the parts of a summary by two spaces. */
function partsOf(summary: string): string[] {
  return summary.split('  ').filter((part) => part !== '');
}
