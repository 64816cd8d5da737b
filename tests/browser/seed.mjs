// Sessions in several states, as hooks would tell of them.

const PROMPTS = ['why does checkout round the tax twice', 'add a test', 'rename the total'];

/** Posts a session that works on some turns; `end` says how it stands now, `last` is the command that it is at or
 * asks for. Answers how many events that were. */
export async function seedSession(monitor, options) {
  const { id, project = '/home/dev/shop', end = 'working', at = Date.now() - 600_000 } = options;
  const { title, branch, prompts = PROMPTS, last = 'git push --force' } = options;
  const events = [];
  let time = at;
  let calls = 0;
  const tell = (after, hook_event_name, fields = {}) => {
    time += after;
    events.push({
      kind: hook_event_name,
      session_id: id,
      occurred_at: new Date(time).toISOString(),
      payload: { session_id: id, cwd: project, hook_event_name, permission_mode: 'default', ...fields },
    });
  };
  const call = (tool_name, tool_input, ran, more = {}) => {
    const about = { tool_name, tool_input, tool_use_id: `${id}-${(calls += 1)}`, ...more };
    tell(200, 'PreToolUse', about);
    if (more.asks) tell(50, 'PermissionRequest', about);
    const ended = { ...about, duration_ms: ran };
    if (more.error) tell(ran, 'PostToolUseFailure', ended);
    else tell(ran + (more.asks ?? 0), 'PostToolUse', { ...ended, tool_response: more.response ?? {} });
  };
  tell(0, 'SessionStart', { source: 'startup', model: 'claude-opus-4-8', session_title: title, git_branch: branch });
  for (const prompt of prompts) {
    tell(500, 'UserPromptSubmit', { prompt });
    call('TodoWrite', {
      todos: [
        { content: 'Reproduce', status: 'completed', activeForm: 'Reproducing' },
        { content: 'Fix the rounding', status: 'in_progress', activeForm: 'Fixing the rounding' },
      ],
    }, 5);
    call('Bash', { command: 'cargo test -p tax', description: 'Run the tests' }, 1500, {
      response: { stdout: 'test result: ok. 14 passed', stderr: '' },
    });
    call('Edit', { file_path: '/home/dev/shop/src/tax.rs', old_string: 'a\nb\nc', new_string: 'a\nx\nc' }, 40, {
      asks: 4000,
    });
    const agent = { agent_id: `${id}-agent`, agent_type: 'Explore' };
    tell(100, 'SubagentStart', agent);
    call('Grep', { pattern: 'round' }, 700, agent);
    call('Bash', { command: 'npm test' }, 6000, { ...agent, error: 'exit code 1: assertion failed' });
    tell(100, 'SubagentStop', { ...agent, last_assistant_message: 'Three call sites.' });
    tell(100, 'Stop', { last_assistant_message: 'Done.' });
    time += 120_000;
  }
  const waiting = { tool_name: 'Bash', tool_input: { command: last }, tool_use_id: `${id}-last` };
  if (end !== 'done') tell(100, 'UserPromptSubmit', { prompt: 'and on' });
  if (end === 'working') tell(100, 'PreToolUse', waiting);
  if (end === 'needs_you') {
    tell(100, 'PreToolUse', waiting);
    tell(50, 'PermissionRequest', waiting);
  }
  if (end === 'failed') tell(100, 'StopFailure', { error: 'overloaded_error' });
  if (end === 'closed') tell(100, 'SessionEnd', { reason: 'logout' });
  await monitor.post(...events);
  return events.length;
}

/** Every view of what `seedAll` makes: its address, and what tells that it is drawn. */
export const VIEWS = [
  ['', 'session-card'],
  ['#/stream?q=tool:Bash&event=4', 'blocks'],
  ['#/session/working-0000-session', 'call'],
  ['#/history?q=tool:Bash', 'event-row'],
  ['#/activity', 'agent-graph'],
  ['#/metrics', 'chart'],
  ['#/connections', 'server'],
  ['#/settings', 'diagnostics'],
];

/** One session of each kind. */
export async function seedAll(monitor) {
  const ends = ['working', 'needs_you', 'done', 'failed', 'closed'];
  for (const [at, end] of ends.entries()) {
    await seedSession(monitor, { id: `${end}-0000-session`, end, project: `/home/dev/${['shop', 'billing'][at % 2]}` });
  }
}
