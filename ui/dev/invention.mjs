// Invents what a few developers' sessions would send: turns of prompts, tool calls, agents and mishaps.
import { createHash } from 'node:crypto';

const PROJECTS = [
  ['/home/dev/shop', 'checkout rounds the tax twice', 'claude-sonnet-5'],
  ['/home/dev/billing-api', 'move invoices to the new schema', 'claude-opus-4-8'],
  ['/home/dev/shop', 'dark mode for the cart', 'claude-sonnet-5'],
  ['/home/dev/infra', undefined, 'claude-haiku-4-5'],
  ['/home/dev/very-long-project-name-for-the-dashboard', 'flaky end-to-end tests', 'claude-sonnet-5'],
];
const PROMPTS = [
  'Why does checkout round the tax twice?',
  'Please add a test for an empty cart, then fix whatever it finds',
  'Rename `Invoice.total` to `Invoice.amount_due` everywhere and run the tests',
  'The deploy of last night failed. Find out why and propose the smallest fix; do not touch the pipeline itself.',
  '/review-pr 214',
];
const COMMANDS = [
  'cargo test -p tax',
  'npm run check',
  'git status --short',
  "rg -n 'round\\(' src",
  'git diff --stat origin/main',
  'docker compose logs --tail 200 api',
  'make bench',
  'ls -la dist',
];
const FILES = [
  'src/tax/rounding.rs',
  'src/cart/total.ts',
  'tests/checkout.spec.ts',
  'migrations/0042_invoices.sql',
  'README.md',
  'src/components/CartSummary.svelte',
  '.github/workflows/deploy.yml',
];
const AGENTS = ['Explore', 'Plan', 'code-reviewer', 'general-purpose'];
const ANSWERS = [
  'The tax was rounded per line and again on the sum. It is now rounded once, on the sum; 41 tests pass.',
  'Done. Three call sites changed, no behaviour did.',
  'I could not reproduce the failure locally; the log points at a timeout while pulling the image.',
];
const SAMPLE = `pub fn tax(lines: &[Line], rate: Rate) -> Cents {
    let net: Cents = lines.iter().map(|line| line.net()).sum();
    // Rounded once, on the sum.
    (net * rate).round_half_up()
}
`;

/** How the monitor begins its summaries; those of tool calls begin with the tool. */
const LEADS = {
  SessionStart: 'Session started',
  InstructionsLoaded: 'Loaded',
  UserPromptSubmit: 'Prompt',
  PermissionRequest: 'Needs permission',
  Stop: 'Turn ended',
  StopFailure: 'Turn failed',
  PreCompact: 'Compacting',
  PostCompact: 'Compacted',
  SessionEnd: 'Session ended',
};

export class Invention {
  #seed = 7;
  #sessions = PROJECTS.map(([project, title, model], at) => ({
    id: uuid(`session ${at}`),
    project,
    title,
    model,
    queue: [],
    turn: 0,
    calls: 0,
  }));

  /** The next event of whichever session is at it, without `seq` and `received_at`. */
  next(at) {
    if (this.#random() < 0.004) {
      return this.#event(at, {
        kind: 'deploy.finished',
        source: 'http',
        summary: 'deploy.finished  production, build 4711',
        payload: { build: 4711 },
      });
    }
    const session = this.#pick(this.#sessions);
    if (session.queue.length === 0) this.#plan(session);
    return this.#event(at, session.queue.shift());
  }

  /** An event from a posted hook payload. */
  fromHook(body, at) {
    const kind = body.hook_event_name ?? body.kind ?? 'unknown';
    return this.#event(at, {
      kind,
      source: 'hook',
      session_id: body.session_id,
      project: body.cwd,
      tool_name: body.tool_name,
      summary: body.prompt ? `Prompt  ${body.prompt}` : (body.message ?? kind),
      payload: body,
    });
  }

  /** An event whose payload has about that many kilobytes. */
  huge(at, kilobytes) {
    const file = Array.from({ length: kilobytes }, (_, n) => `line ${n} ${'x'.repeat(1000)}`);
    return this.#event(at, {
      ...this.#base(this.#sessions[0]),
      kind: 'PostToolUse',
      tool_name: 'Read',
      summary: `Read  a file of ${kilobytes} kB`,
      payload: { tool_name: 'Read', tool_response: { type: 'text', lines: file } },
    });
  }

  #plan(session) {
    const base = this.#base(session);
    const { queue } = session;
    session.turn += 1;
    const prompt_id = uuid(`prompt ${session.id} ${session.turn}`);
    const common = { ...base, prompt_id };
    if (session.turn % 6 === 1) {
      queue.push(
        this.#hook(base, 'SessionStart', session.model, {
          source: 'startup',
          model: session.model,
          session_title: session.title,
        }),
      );
      queue.push(
        this.#hook(base, 'InstructionsLoaded', 'CLAUDE.md', {
          file_path: `${session.project}/CLAUDE.md`,
          memory_type: 'Project',
        }),
      );
    }
    const prompt = this.#pick(PROMPTS);
    queue.push(this.#hook(common, 'UserPromptSubmit', prompt, { prompt }));
    for (let n = 2 + Math.floor(this.#random() * 9); n > 0; n -= 1) this.#call(session, common);
    if (this.#random() < 0.35) {
      const agent = {
        ...common,
        agent_id: `a${uuid(`${prompt_id} agent`).slice(0, 7)}`,
        agent_type: this.#pick(AGENTS),
      };
      queue.push(this.#hook(agent, 'SubagentStart', 'Find all callers of round()', {}));
      for (let n = 2 + Math.floor(this.#random() * 6); n > 0; n -= 1) this.#call(session, agent);
      queue.push(
        this.#hook(agent, 'SubagentStop', this.#pick(ANSWERS), {
          last_assistant_message: this.#pick(ANSWERS),
        }),
      );
    }
    const chance = this.#random();
    if (chance < 0.06)
      queue.push({
        ...this.#hook(common, 'StopFailure', 'rate_limit', { error: 'rate_limit' }),
        is_error: true,
      });
    else {
      const answer = this.#pick(ANSWERS);
      queue.push(
        this.#hook(common, 'Stop', answer, { last_assistant_message: answer, stop_hook_active: false }),
      );
    }
    if (chance > 0.85)
      queue.push(
        this.#hook(common, 'Notification', 'Claude is waiting for your input', {
          notification_type: 'idle_prompt',
        }),
      );
    if (chance > 0.93)
      queue.push(
        this.#hook(base, 'PreCompact', 'auto', { trigger: 'auto' }),
        this.#hook(base, 'PostCompact', 'auto', { trigger: 'auto' }),
      );
    if (session.turn % 6 === 0)
      queue.push(this.#hook(base, 'SessionEnd', 'prompt_input_exit', { reason: 'prompt_input_exit' }));
  }

  #call(session, common) {
    session.calls += 1;
    const tool_use_id = `toolu_01${createHash('sha1').update(`${session.id}${session.calls}`).digest('hex').slice(0, 20)}`;
    const tool = this.#pick([
      'Bash',
      'Bash',
      'Bash',
      'Read',
      'Read',
      'Edit',
      'Grep',
      'WebFetch',
      'mcp__github__search_code',
    ]);
    const [summary, tool_input, tool_response] = this.#tool(tool, session.project);
    const base = { ...common, tool_name: tool, tool_use_id };
    session.queue.push(this.#hook(base, 'PreToolUse', summary, { tool_name: tool, tool_input, tool_use_id }));
    if (tool === 'Bash' && this.#random() < 0.12) {
      session.queue.push(
        this.#hook(base, 'PermissionRequest', `Bash  ${summary}`, { tool_name: tool, tool_input }),
      );
    }
    const duration_ms = Math.floor(Math.exp(this.#random() * 10.5) + 4);
    const fails = this.#random() < 0.07;
    session.queue.push({
      ...this.#hook(
        base,
        fails ? 'PostToolUseFailure' : 'PostToolUse',
        fails
          ? `${summary}  ✗ Exit code 101: 1 test failed`
          : tool === 'Bash'
            ? `${summary}  → 41 passed; 0 failed`
            : summary,
        {
          tool_name: tool,
          tool_input,
          tool_use_id,
          duration_ms,
          ...(fails
            ? {
                error: `Exit code 101\n\n---- rounds_once stdout ----\nassertion failed: left == right\n  left: 1190\n right: 1191`,
              }
            : { tool_response }),
        },
      ),
      duration_ms,
      is_error: fails,
    });
  }

  #tool(tool, project) {
    const file = this.#pick(FILES);
    if (tool === 'Bash') {
      const command = this.#pick(COMMANDS);
      return [
        command,
        { command, description: 'Run it', timeout: 120000 },
        {
          stdout: 'running 41 tests\n........\ntest result: ok. 41 passed; 0 failed',
          stderr: '',
          interrupted: false,
        },
      ];
    }
    if (tool === 'Read')
      return [
        file,
        { file_path: `${project}/${file}` },
        { type: 'text', file: { filePath: `${project}/${file}`, content: SAMPLE.repeat(6), numLines: 30 } },
      ];
    if (tool === 'Edit')
      return [
        file,
        {
          file_path: `${project}/${file}`,
          old_string: SAMPLE,
          new_string: SAMPLE.replace('once', 'exactly once'),
        },
        {
          filePath: file,
          structuredPatch: [
            { oldStart: 3, newStart: 3, lines: ['-    // Rounded once', '+    // Rounded exactly once'] },
          ],
        },
      ];
    if (tool === 'Grep')
      return [
        'round\\(',
        { pattern: 'round\\(', path: `${project}/src` },
        { mode: 'files_with_matches', numFiles: 3, filenames: FILES.slice(0, 3) },
      ];
    if (tool === 'WebFetch')
      return [
        'https://docs.example.org/tax/rounding',
        { url: 'https://docs.example.org/tax/rounding', prompt: 'How is tax rounded?' },
        { code: 200, bytes: 51234 },
      ];
    return [
      'repo:shop round',
      { query: 'repo:shop round' },
      { total_count: 3, incomplete_results: false, items: [null, true, 1.5] },
    ];
  }

  #base({ id, project }) {
    return { source: 'hook', session_id: id, project };
  }

  #hook(base, kind, about, fields) {
    const lead = LEADS[kind] ?? (base.tool_name ?? '').replace(/^mcp__(.+)__/, '$1 ');
    const summary = [lead, kind.startsWith('Subagent') ? base.agent_type : '', about];
    if (kind === 'SubagentStart') summary.splice(2, 0, 'started');
    if (kind === 'SubagentStop') summary.splice(2, 0, 'finished');
    return {
      ...base,
      kind,
      summary: summary.filter(Boolean).join('  '),
      payload: {
        session_id: base.session_id,
        ...(base.prompt_id ? { prompt_id: base.prompt_id } : {}),
        transcript_path: `/home/dev/.claude/projects/x/${base.session_id}.jsonl`,
        cwd: base.project,
        permission_mode: 'default',
        hook_event_name: kind,
        ...(base.agent_id ? { agent_id: base.agent_id, agent_type: base.agent_type } : {}),
        ...fields,
      },
    };
  }

  #event(at, event) {
    return { id: crypto.randomUUID(), occurred_at: at, is_error: false, ...event };
  }

  #pick(list) {
    return list[Math.floor(this.#random() * list.length)];
  }

  /** The same on each run, so that pictures and tests can be compared. */
  #random() {
    this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0;
    return this.#seed / 2 ** 32;
  }
}

function uuid(text) {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-9${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
