// A real monitor in a home of its own and a real browser that looks at it; both end with the test.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { after, before } from 'node:test';

import { chromium } from 'playwright-core';

/** The longest wait for anything; reached only when something is broken. */
export const PATIENCE_MS = 15_000;

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
/** Where the programs are that somebody built already; without it they are built here. */
const BUILT = process.env.TEST_PROGRAMS;
const TARGET = resolve(REPOSITORY, process.env.CARGO_TARGET_DIR ?? 'target');
export const PROGRAM = join(BUILT ?? join(TARGET, 'debug'), 'claude-mpm-monitor');
const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
// Nothing that a browser does by itself: only the page may cause traffic.
const SWITCHES = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

let browser;
before(async () => {
  if (BUILT === undefined) {
    execFileSync('cargo', ['build', '--quiet', '--bins'], { cwd: REPOSITORY, stdio: 'inherit' });
  }
  const executablePath = process.env.CHROMIUM ?? PATHS.find(existsSync);
  assert.ok(executablePath, 'no Chromium found: `scripts/setup test` installs it');
  browser = await chromium.launch({ executablePath, args: SWITCHES });
});
after(() => browser?.close());

/** Starts a monitor; with `at`, in the home and on the port of an earlier one. What tests count are the events that
 * they send: its own are only told when asked for. */
export async function startMonitor(t, at, { ownEvents = false } = {}) {
  const home = at?.home ?? mkdtempSync(join(tmpdir(), 'monitor-'));
  const port = at?.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const log = join(home, 'monitor.out');
  const out = openSync(log, 'a');
  const own = ([name]) => !name.startsWith('CLAUDE_') && !name.endsWith('DISPLAY');
  const child = spawn(PROGRAM, ['start', '--foreground', '--no-browser', '--port', String(port)], {
    cwd: home,
    env: {
      ...Object.fromEntries(Object.entries(process.env).filter(own)),
      HOME: home,
      CLAUDE_MPM_HOME: home,
      CLAUDE_MPM_OWN_EVENTS: String(ownEvents),
    },
    stdio: ['ignore', out, out],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  /** Ends it as a crash would. */
  const crash = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  // Pages close before their monitor ends: what they say of its end is no error of theirs.
  const pages = [];
  t.after(async () => {
    try {
      for (const close of pages) await close();
    } finally {
      await crash();
      rmSync(home, { recursive: true, force: true });
    }
  });
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await answers(url))) {
    const said = () => `the monitor does not answer:\n${readFileSync(log, 'utf8')}`;
    assert.ok(child.exitCode === null && Date.now() < deadline, said());
    await sleep(10);
  }

  /** Posts one event, or several in one body. */
  const post = async (...events) => {
    const body = JSON.stringify(events.length === 1 ? events[0] : events);
    const reply = await fetch(`${url}/api/events`, { method: 'POST', body });
    assert.ok(reply.ok, `${reply.status} ${await reply.text()}`);
  };

  /** Moves it to another port, as the tray and the command line do; answers what it is there. */
  const move = async () => {
    const to = await freePort();
    const runfile = JSON.parse(readFileSync(join(home, 'monitor', 'run', `${port}.json`), 'utf8'));
    const reply = await fetch(`${url}/api/restart`, {
      method: 'POST',
      headers: { authorization: `Bearer ${runfile.control_token}` },
      body: JSON.stringify({ port: to }),
    });
    assert.equal(reply.status, 202, await reply.text());
    return `http://127.0.0.1:${to}`;
  };
  return { home, port, url, pages, post, crash, move };
}

/** Opens the dashboard. Fails the test when the page causes an error, or traffic to anybody but its monitor. */
export async function openPage(
  monitor,
  { hash = '#/stream', mayLoseConnection = false, mayMove = false, width = 1280, theme, clock } = {},
) {
  const context = await browser.newContext({ viewport: { width, height: 720 } });
  if (theme) await context.addInitScript((name) => localStorage.setItem('theme', name), theme);
  const page = await context.newPage();
  if (clock) await page.clock.install({ time: clock });
  page.setDefaultTimeout(PATIENCE_MS);
  const [foreign, errors] = [[], []];
  const own = new URL(monitor.url).host;
  const traffic = (url) => {
    if (new URL(url).host !== own && !mayMove) foreign.push(url);
  };
  context.on('request', (request) => traffic(request.url()));
  page.on('websocket', (socket) => traffic(socket.url()));
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !mayLoseConnection) errors.push(message.text());
  });
  monitor.pages.push(async () => {
    await context.close();
    assert.deepEqual(foreign, [], 'the page talks to its monitor only');
    assert.deepEqual(errors, [], 'the page reports no error');
  });
  await page.goto(`${monitor.url}/${hash}`);
  await at(page, 'connection', '[data-state="live"]').waitFor();
  return page;
}

/** Exports a report and opens it from disk. Fails the test when the page causes an error or any traffic. */
export async function openReport(t, monitor) {
  const file = join(monitor.home, 'report.html');
  execFileSync(PROGRAM, ['export', '--port', String(monitor.port), '--output', file], {
    env: { ...process.env, CLAUDE_MPM_HOME: monitor.home },
  });
  const context = await browser.newContext({ viewport: { width: 1280, height: 720 } });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const [traffic, errors] = [[], []];
  context.on('request', (request) => traffic.push(request.url()));
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => errors.push(message.text()));
  t.after(async () => {
    await context.close();
    assert.deepEqual(traffic, [`file://${file}`], 'the report needs no other file');
    assert.deepEqual(errors, [], 'the report reports no error');
  });
  await page.goto(`file://${file}`);
  return page;
}

/** The element of a test id; `more` narrows it. */
export const at = (page, id, more = '') => page.locator(`[data-testid="${id}"]${more}`);

/** The row of an event. */
export const row = (page, seq) => at(page, 'event-row', `[data-seq="${seq}"]`);

/** Payloads in Claude Code's shape. */
export const prompt = (session, text) => ({
  session_id: session,
  cwd: '/home/dev/shop',
  hook_event_name: 'UserPromptSubmit',
  prompt: text,
});
export const failure = (session, error) => ({
  session_id: session,
  cwd: '/home/dev/shop',
  hook_event_name: 'PostToolUseFailure',
  tool_name: 'Bash',
  tool_input: { command: 'npm test' },
  tool_use_id: 'toolu_1',
  error,
});

const answers = (url) =>
  fetch(`${url}/health`).then(
    (reply) => reply.ok,
    () => false,
  );

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
