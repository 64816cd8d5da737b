// Every view with the recorded sessions of the demo: two sessions of different projects, with agents, questions,
// failures and todos, as Claude Code told them.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { at, openPage, PROGRAM, startMonitor } from './support.mjs';

const view = (page, name) => at(page, 'view', `[data-view="${name}"]`);

/** A monitor that the recording was played to. */
async function withRecording(t) {
  const monitor = await startMonitor(t);
  const arguments_ = ['demo', '--port', String(monitor.port), '--speed', '1000'];
  await promisify(execFile)(PROGRAM, arguments_, { env: { ...process.env, CLAUDE_MPM_HOME: monitor.home } });
  const { sessions } = await (await fetch(`${monitor.url}/api/sessions`)).json();
  const shop = sessions.find(({ project }) => project.endsWith('/shop'));
  assert.ok(shop, 'the recording has a session in the shop');
  return { monitor, sessions, shop };
}

test('the recorded sessions are told right by every view', async (t) => {
  const { monitor, sessions, shop } = await withRecording(t);
  const page = await openPage(monitor, { hash: '' });
  await at(page, 'group-closed').waitFor();
  for (const { title } of sessions) await at(page, 'group-closed').getByText(title).waitFor();

  await at(page, 'go-stream').click();
  await at(page, 'event-row').last().waitFor();
  const total = sessions.reduce((sum, { events }) => sum + events, 0);
  assert.equal(await at(page, 'event-count').innerText(), `${total} events loaded`);
  await at(page, 'filter-errors').click();
  const failed = sessions.reduce((sum, { errors }) => sum + errors, 0);
  await page.waitForFunction((count) => document.querySelector('[data-testid="event-list"]').ariaRowCount === String(count), failed);
  await at(page, 'event-row').last().click();
  await at(page, 'blocks').locator('[data-block="output"]').first().waitFor();
  await page.keyboard.press('Escape');

  await page.goto(`${monitor.url}/#/session/${shop.session_id}`);
  await at(page, 'session', '[data-loading="false"]').waitFor();
  await at(page, 'call').first().waitFor();
  for (const [tab, testid] of [['agents', 'agent-tree'], ['todos', 'todo-list'], ['files', 'file-table'], ['errors', 'error-list'], ['turns', 'turn-table']]) {
    await at(page, `tab-${tab}`).click();
    await at(page, testid).waitFor();
  }

  await page.goto(`${monitor.url}/#/history?q=status:error`);
  await page.waitForFunction((count) => document.querySelector('[data-testid="counted"]')?.innerText.trim() === `${count} matches`, failed);

  await page.goto(`${monitor.url}/#/activity`);
  await at(page, 'activity-scope').selectOption('all');
  // The graph grows when what it shows has come.
  const threads = `[data-testid="agent-graph"][data-session="${shop.session_id}"] svg g`;
  await page.waitForFunction(
    ([threads, count]) => document.querySelectorAll(threads).length === count,
    [threads, shop.agents.total + 1],
  );

  await page.goto(`${monitor.url}/#/metrics`);
  await at(page, 'shares-tool').getByText('Bash', { exact: true }).waitFor();
  await at(page, 'cost').getByText(/^≤ .+ ms \/ ≤ .+ m?s$/).first().waitFor();
  for (const name of ['connections', 'settings']) {
    await at(page, `go-${name}`).click();
    await view(page, name).waitFor();
  }
});

test('the recording is seen while it happens: a question, its answer, and what is done', async (t) => {
  const monitor = await startMonitor(t);
  const page = await openPage(monitor, { hash: '' });
  const states = page.evaluate(
    () =>
      new Promise((done) => {
        const seen = new Set();
        const look = () => {
          for (const card of document.querySelectorAll('[data-testid="session-card"]')) seen.add(card.dataset.state);
          if (document.querySelectorAll('[data-testid="group-closed"] tbody tr').length === 2) done([...seen]);
        };
        new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
      }),
  );
  const arguments_ = ['demo', '--port', String(monitor.port), '--speed', '20'];
  await promisify(execFile)(PROGRAM, arguments_, { env: { ...process.env, CLAUDE_MPM_HOME: monitor.home } });
  const seen = await states;
  for (const state of ['working', 'needs_you', 'done']) assert.ok(seen.includes(state), `${state} in ${seen}`);
});
