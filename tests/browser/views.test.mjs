// Claims about the views: what a person with several sessions finds where.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';

import { seedAll, seedSession } from './seed.mjs';
import { at, failure, openPage, prompt, row, startMonitor } from './support.mjs';

const view = (page, name) => at(page, 'view', `[data-view="${name}"]`);
const card = (page, end) => at(page, 'session-card', `[data-session="${end}-0000-session"]`);

test('the overview shows who needs you first, with what they ask, and what is done until it was seen', async (t) => {
  const monitor = await startMonitor(t);
  await seedAll(monitor);
  const page = await openPage(monitor, { hash: '' });
  await card(page, 'needs_you').waitFor();
  const states = await at(page, 'session-card').evaluateAll((cards) => cards.map((one) => one.dataset.state));
  assert.deepEqual(states, ['needs_you', 'failed', 'done', 'working']);
  assert.match(await card(page, 'needs_you').innerText(), /git push --force/);
  assert.match(await card(page, 'working').innerText(), /Running Bash/);
  assert.equal(await at(page, 'waiting').innerText(), '1');
  assert.match(await page.title(), /^\(1\)/);
  assert.match(await at(page, 'group-closed').innerText(), /Closed/);

  await card(page, 'done').getByTestId('mark-read').click();
  await at(page, 'group-quiet').locator('article[data-state="done"]').waitFor();
});

test('of very many sessions the overview shows the first, and all on demand', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(...Array.from({ length: 60 }, (_, number) => prompt(`many-${number}`, `task ${number}`)));
  const page = await openPage(monitor, { hash: '' });
  const more = at(page, 'more-working');
  await more.waitFor();
  assert.equal(await at(page, 'session-card').count(), 24);
  assert.match(await more.innerText(), /36 more sessions/);
  await more.click();
  await more.waitFor({ state: 'detached' });
  assert.equal(await at(page, 'session-card').count(), 60);
});

test('what is counted are all sessions, and who waits is shown however long ago that began', async (t) => {
  const monitor = await startMonitor(t);
  await seedSession(monitor, { id: 'needs_you-0000-session', end: 'needs_you' });
  const many = Array.from({ length: 450 }, (_, number) => prompt(`many-${number}`, `task ${number}`));
  await monitor.post(...many);
  const page = await openPage(monitor, { hash: '' });
  await card(page, 'needs_you').waitFor();
  assert.equal(await at(page, 'waiting').innerText(), '1');
  assert.equal(await at(page, 'session-count').innerText(), '451 sessions');
  assert.equal(await at(page, 'session-count').getAttribute('title'), '451 of them not ended');
  assert.match(await at(page, 'figures').innerText(), /Working\s+450\s+[^]*Open sessions\s+451/);
  assert.match(await at(page, 'group-working').locator('.count').innerText(), /^450$/);
  assert.match(await at(page, 'rest').innerText(), /^The newest 201 of 451 sessions are shown/);

  await monitor.post(prompt('one-more', 'go'));
  await at(page, 'session-count').getByText('452 sessions').waitFor();
  await monitor.post({ ...prompt('many-0', ''), hook_event_name: 'SessionEnd', reason: 'other' });
  await at(page, 'group-working').locator('.count').getByText('450', { exact: true }).waitFor();
  assert.equal(await at(page, 'session-count').getAttribute('title'), '451 of them not ended');
});

for (const [width, theme] of [[1280, 'light'], [1280, 'dark'], [390, 'light'], [390, 'dark']]) {
  test(`while sessions are computed anew the page says so and no longer, ${width} pixels wide, ${theme}`, async (t) => {
    const first = await startMonitor(t);
    await first.post(...Array.from({ length: 12 }, (_, number) => prompt(`old-${number}`, `task ${number}`)));
    const listed = async (monitor) => (await (await fetch(`${monitor.url}/api/sessions`)).json()).sessions.length;
    assert.equal(await listed(first), 12);
    await first.crash();
    // As another version of the monitor left them, and such that what is computed cannot be written yet.
    change(first, "UPDATE sessions SET version = 0, view = ''");
    change(first, "CREATE TRIGGER trap BEFORE UPDATE ON sessions BEGIN SELECT raise(abort, 'not yet'); END");
    const monitor = await startMonitor(t, first);
    const page = await openPage(monitor, { hash: '', width, theme });
    const banner = at(page, 'banner-rebuild');
    await banner.waitFor();
    assert.match(await banner.innerText(), /Reading 0 of 12 sessions anew…/);
    assert.equal(await at(page, 'session-card').count(), 12, 'what is asked for is there');
    assert.equal(await at(page, 'group-working').locator('.count').innerText(), '12', 'and counted');
    const [box, view] = [await banner.boundingBox(), await page.evaluate(() => document.body.scrollWidth)];
    assert.ok(view <= width && box.width <= width, `it fits: ${view}, ${JSON.stringify(box)}`);
    if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/${width}-${theme}.png` });
    change(first, 'DROP TRIGGER trap');
    await banner.waitFor({ state: 'detached' });
    assert.equal(await at(page, 'session-card').count(), 12);
  });
}

/** Changes the database of a monitor behind its back. */
function change({ home }, sql) {
  const script = 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()';
  execFileSync('python3', ['-c', script, join(home, 'monitor', 'events.db'), sql]);
}

test('a question that is answered leaves the overview by itself', async (t) => {
  const monitor = await startMonitor(t);
  await seedSession(monitor, { id: 'needs_you-0000-session', end: 'needs_you' });
  const page = await openPage(monitor, { hash: '' });
  await card(page, 'needs_you').waitFor();
  await monitor.post({
    session_id: 'needs_you-0000-session',
    cwd: '/home/dev/shop',
    hook_event_name: 'PostToolUse',
    tool_name: 'Bash',
    tool_input: { command: 'git push --force' },
    tool_use_id: 'needs_you-0000-session-last',
    tool_response: {},
  });
  await at(page, 'session-card', '[data-state="working"]').waitFor();
  await at(page, 'waiting').waitFor({ state: 'detached' });
});

test('every view is one key away, and the address brings it back', async (t) => {
  const monitor = await startMonitor(t);
  await seedAll(monitor);
  const page = await openPage(monitor, { hash: '' });
  const names = ['overview', 'stream', 'history', 'activity', 'metrics', 'connections', 'settings'];
  for (const [index, name] of names.entries()) {
    await page.keyboard.press(String(index + 1));
    await view(page, name).waitFor();
    // The address without anything is the overview's.
    assert.match(page.url(), name === 'overview' ? /\/$/ : new RegExp(`#/${name}$`));
  }
  await page.reload();
  await view(page, 'settings').waitFor();
  await page.goBack();
  await view(page, 'connections').waitFor();
  await page.keyboard.press('?');
  await at(page, 'help').waitFor();
  await page.keyboard.press('Escape');
  await at(page, 'help').waitFor({ state: 'hidden' });
});

test('the palette goes to sessions, views, events and searches', async (t) => {
  const monitor = await startMonitor(t);
  await seedAll(monitor);
  const page = await openPage(monitor, { hash: '' });
  const choose = async (text) => {
    await page.keyboard.press('Control+k');
    await at(page, 'palette-input').fill(text);
    await page.keyboard.press('Enter');
    await at(page, 'palette').waitFor({ state: 'detached' });
  };
  await choose('needs you');
  await at(page, 'session', '[data-session="needs_you-0000-session"]').waitFor();
  await choose('metrics');
  await view(page, 'metrics').waitFor();
  await choose('#3');
  await at(page, 'details', '[data-seq="3"]').waitFor();
  await choose('xyzzy');
  await view(page, 'stream').waitFor();
  await at(page, 'filtered-out').waitFor();
});

test('conditions are completed, become chips, and the facets say the same', async (t) => {
  const monitor = await startMonitor(t);
  await seedAll(monitor);
  const page = await openPage(monitor);
  await at(page, 'filter').click();
  await page.keyboard.type('too');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await at(page, 'offer').getByText('Bash', { exact: true }).waitFor();
  await page.keyboard.type('Ba');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Tab');
  assert.equal(await at(page, 'chip').innerText(), 'tool:Bash');
  await page.keyboard.type('status:error ');
  await page.waitForURL(/tool%3ABash\+status%3Aerror/);
  const kinds = () =>
    at(page, 'event-row').evaluateAll((rows) => [...new Set(rows.map((one) => one.dataset.kind))]);
  assert.deepEqual(await kinds(), ['PostToolUseFailure']);
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await at(page, 'chip').first().waitFor({ state: 'detached' });

  await at(page, 'toggle-facets').click();
  const facet = at(page, 'facet', '[data-value="TodoWrite"]');
  assert.match(await facet.innerText(), /\b30\b/);
  await facet.click();
  assert.equal(await at(page, 'chip').innerText(), 'tool:TodoWrite');
  await at(page, 'event-row').first().waitFor();
  assert.match(await at(page, 'event-count').innerText(), /^30 of/);
});

test('a condition that means nothing says so and hides nothing', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(prompt('s-1', 'hello'));
  const page = await openPage(monitor, { hash: '#/stream?q=dur:soon' });
  await row(page, 1).waitFor();
  assert.match(await at(page, 'chip').getAttribute('title'), /ignored/);
});

test('a filter can be saved and brought back', async (t) => {
  const monitor = await startMonitor(t);
  await seedAll(monitor);
  const page = await openPage(monitor, { hash: '#/stream?q=status:error' });
  await at(page, 'saved').click();
  await at(page, 'saved-panel').getByRole('textbox').fill('what broke');
  await at(page, 'save-query').click();
  await page.reload();
  await at(page, 'connection', '[data-state="live"]').waitFor();
  await page.goto(`${monitor.url}/#/stream`);
  await at(page, 'chip').waitFor({ state: 'detached' });
  await at(page, 'saved').click();
  await at(page, 'saved-query').getByText('what broke').click();
  assert.equal(await at(page, 'chip').innerText(), 'status:error');
});

test('details show a command with its output, a diff and todos', async (t) => {
  const monitor = await startMonitor(t);
  await seedSession(monitor, { id: 'working-0000-session' });
  const page = await openPage(monitor, { hash: '#/stream?q=kind:PostToolUse' });
  const blocks = async (label) => {
    await at(page, 'event-row').filter({ hasText: label }).last().click();
    await at(page, 'payload', '[data-state="ready"]').waitFor();
    return at(page, 'blocks').innerText();
  };
  assert.match(await blocks('cargo test'), /Run the tests[\s\S]*cargo test -p tax[\s\S]*14 passed/);
  await blocks('src/tax.rs');
  const signs = await at(page, 'blocks').locator('[data-sign]').evaluateAll((all) => all.map((one) => one.dataset.sign));
  assert.deepEqual(signs, [' ', '-', '+', ' ']);
  assert.match(await blocks('TodoWrite'), /Fix the rounding/);
});

test('a session shows its calls over time, waiting and running apart, and grows live', async (t) => {
  const monitor = await startMonitor(t);
  await seedSession(monitor, { id: 'working-0000-session' });
  const page = await openPage(monitor, { hash: '#/session/working-0000-session' });
  await at(page, 'session', '[data-loading="false"]').waitFor();
  await at(page, 'call').first().waitFor();
  assert.equal(await at(page, 'call').count(), 16);
  const edit = await at(page, 'call').filter({ hasText: 'src/tax.rs' }).first().innerText();
  assert.match(edit, /4\.\d s\s+40 ms\s+done/, 'waited, ran');

  // Something is painted, and a press on it opens the event.
  const painted = () =>
    at(page, 'lanes').evaluate((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return data.some((value) => value !== 0);
    });
  await page.waitForFunction(() => document.querySelector('[data-testid="lanes"]').width > 300);
  assert.ok(await painted());
  const range = async () => {
    const { from, to } = await at(page, 'waterfall').evaluate((one) => ({ ...one.dataset }));
    return Number(to) - Number(from);
  };
  const before = await range();
  await page.keyboard.press('w');
  await page.waitForFunction((was) => {
    const { from, to } = document.querySelector('[data-testid="waterfall"]').dataset;
    return Number(to) - Number(from) < was * 0.9;
  }, before);
  await page.keyboard.press('0');

  await monitor.post({
    session_id: 'working-0000-session',
    cwd: '/home/dev/shop',
    hook_event_name: 'PreToolUse',
    tool_name: 'WebFetch',
    tool_input: { url: 'https://example.com' },
    tool_use_id: 'fresh',
  });
  await at(page, 'call').filter({ hasText: 'WebFetch' }).waitFor();

  await at(page, 'tab-agents').click();
  assert.match(await at(page, 'agent-tree').innerText(), /Explore/);
  await at(page, 'tab-todos').click();
  assert.match(await at(page, 'todo-list').innerText(), /Fixing the rounding/);
  await at(page, 'tab-files').click();
  assert.match(await at(page, 'file-table').innerText(), /tax\.rs/);
  await at(page, 'tab-errors').click();
  assert.match(await at(page, 'error-list').innerText(), /exit code 1/);
});

test('a replay shows a session as it was, and leads back to now', async (t) => {
  const monitor = await startMonitor(t);
  await seedSession(monitor, { id: 'closed-0000-session', end: 'closed' });
  const page = await openPage(monitor, { hash: '#/session/closed-0000-session' });
  await at(page, 'call').first().waitFor();
  const all = await at(page, 'call').count();
  await at(page, 'replay-position').fill('300');
  await at(page, 'replay-now').waitFor();
  const then = await at(page, 'call').count();
  assert.ok(then > 0 && then < all, `${then} of ${all}`);
  await page.locator('select[aria-label="Speed"]').selectOption('64');
  await at(page, 'replay-play').click();
  await page.waitForFunction((count) => document.querySelectorAll('[data-testid="call"]').length > count, then);
  await at(page, 'replay-end').click();
  await at(page, 'replay-now').waitFor({ state: 'detached' });
  assert.equal(await at(page, 'call').count(), all);
});

test('a replay goes on in every view, and ends in every view', async (t) => {
  const monitor = await startMonitor(t);
  await seedAll(monitor);
  const page = await openPage(monitor, { hash: '#/session/closed-0000-session' });
  await at(page, 'session', '[data-loading="false"]').waitFor();
  await at(page, 'call').first().waitFor();
  const live = await at(page, 'event-count').innerText();
  // Half of the way: in the second of three turns.
  await at(page, 'replay-position').fill('500');
  await at(page, 'session').locator('[data-testid="status"][data-state="working"]').first().waitFor();
  await at(page, 'tab-agents').click();
  await at(page, 'agent-tree').getByText('Explore').waitFor();
  await at(page, 'tab-todos').click();
  await at(page, 'todo-list').waitFor();

  await at(page, 'go-overview').click();
  const then = page.locator('[data-testid="replay"]:not([data-at=""])');
  await then.waitFor();
  await card(page, 'closed').and(page.locator('[data-state="working"]')).waitFor();
  assert.equal(await at(page, 'session-card').count(), 1, 'the others were not replayed');
  assert.match(await card(page, 'closed').innerText(), /\d+ (s|m)\b/);

  await at(page, 'go-stream').click();
  await at(page, 'event-row').last().waitFor();
  const rows = async () => Number(await at(page, 'event-list').getAttribute('aria-rowcount'));
  const early = await rows();
  await at(page, 'replay-position').fill('900');
  await page.waitForFunction((before) => Number(document.querySelector('[data-testid="event-list"]').ariaRowCount) > before, early);
  await at(page, 'replay-position').fill('500');
  await page.waitForFunction((before) => document.querySelector('[data-testid="event-list"]').ariaRowCount === String(before), early);
  await page.locator('select[aria-label="Speed"]').selectOption('64');
  await at(page, 'replay-play').click();
  await page.waitForFunction((before) => Number(document.querySelector('[data-testid="event-list"]').ariaRowCount) > before, early);
  // At the end it stops by itself.
  await page.getByRole('button', { name: 'Replay: Play' }).waitFor();
  await at(page, 'replay-position').fill('500');
  await page.waitForFunction((before) => document.querySelector('[data-testid="event-list"]').ariaRowCount === String(before), early);

  await at(page, 'go-history').click();
  await page.waitForFunction((before) => document.querySelector('[data-testid="counted"]')?.innerText.trim() === `${before} matches`, early);
  await at(page, 'go-activity').click();
  await at(page, 'agent-graph').locator('text', { hasText: 'Explore' }).first().waitFor();
  assert.equal(await at(page, 'agent-graph').count(), 1);
  await at(page, 'go-metrics').click();
  await at(page, 'metrics').getByText(String(early), { exact: true }).first().waitFor();

  assert.equal(await at(page, 'event-count').innerText(), live, 'what is live is still counted');
  await at(page, 'go-overview').click();
  await at(page, 'replay-end').click();
  await then.waitFor({ state: 'detached' });
  await card(page, 'needs_you').waitFor();
  await at(page, 'group-closed').waitFor();
});

test('history finds words in payloads, in a stretch of time, and exports what it found', async (t) => {
  const monitor = await startMonitor(t);
  await seedAll(monitor);
  await monitor.post({ ...prompt('s-1', 'hello'), notes: 'a needle deep inside' });
  const page = await openPage(monitor, { hash: '#/history?q=needle' });
  await at(page, 'history', '[data-state="found"]').waitFor();
  await at(page, 'event-row').first().waitFor();
  assert.equal(await at(page, 'event-row').count(), 1);
  assert.match(await at(page, 'counted').innerText(), /^1 match$/);

  await at(page, 'export').click();
  const [download] = await Promise.all([page.waitForEvent('download'), at(page, 'export-jsonl').click()]);
  const lines = (await readFile(await download.path(), 'utf8')).trim().split('\n');
  assert.equal(lines.length, 1);
  assert.equal(JSON.parse(lines[0]).payload.notes, 'a needle deep inside');

  await page.goto(`${monitor.url}/#/history?q=tool:Bash+status:error`);
  await page.waitForFunction(() => /^15 matches$/.test(document.querySelector('[data-testid="counted"]').innerText.trim()));
  await at(page, 'window').selectOption('all');
  await page.goto(`${monitor.url}/#/history?q=tool:Bash&to=1000000000000`);
  await at(page, 'nothing-found').waitFor();
});

test('history loads page after page without end', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(...Array.from({ length: 700 }, (_, number) => prompt('s-1', `prompt ${number}`)));
  const page = await openPage(monitor, { hash: '#/history' });
  await row(page, 700).waitFor();
  await at(page, 'event-list').hover();
  for (let turn = 0; turn < 60 && (await row(page, 1).count()) === 0; turn += 1) {
    await page.mouse.wheel(0, -4000);
    await page.waitForFunction(() => true);
  }
  await row(page, 1).waitFor();
  assert.equal(await at(page, 'event-list').getAttribute('aria-rowcount'), '700');
});

test('metrics count what is stored and what the monitor costs', async (t) => {
  const monitor = await startMonitor(t);
  await seedAll(monitor);
  const page = await openPage(monitor, { hash: '#/metrics' });
  await at(page, 'shares-tool').waitFor();
  assert.match(await at(page, 'shares-tool').innerText(), /Bash\s+30\s+15/);
  await at(page, 'chart').locator('canvas').first().waitFor();
  assert.match(await at(page, 'cost').innerText(), /Store on disk\s+[\d.]+ (kB|MB)/);
  await at(page, 'shares-tool').getByRole('button', { name: 'TodoWrite' }).click();
  await page.waitForFunction(() => !/Bash/.test(document.querySelector('[data-testid="shares-tool"]').innerText));
});

test('activity, connections and settings show the live state', async (t) => {
  const monitor = await startMonitor(t);
  await seedAll(monitor);
  const page = await openPage(monitor, { hash: '#/activity' });
  await at(page, 'agent-graph').filter({ hasText: 'Explore' }).first().waitFor();
  await at(page, 'lanes-of-minutes').waitFor();
  await at(page, 'go-connections').click();
  await at(page, 'clients').getByText('Browser', { exact: true }).first().waitFor();
  assert.match(await at(page, 'instances').innerText(), new RegExp(String(monitor.port)));
  await at(page, 'go-settings').click();
  await at(page, 'hooks').getByText('HTTP').waitFor();
  await at(page, 'choose-theme').selectOption('dark');
  assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark');
  await at(page, 'choose-language').selectOption('zh-CN');
  await at(page, 'go-stream').getByText('事件流').waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
});

test('a minute with one failure among many events is not painted as a failed minute', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(...Array.from({ length: 9 }, (_, at) => prompt('s-1', `prompt ${at}`)), failure('s-1', 'exit code 1'));
  const page = await openPage(monitor, { hash: '#/activity' });
  const minute = at(page, 'minute').last();
  await minute.locator('.bad').waitFor({ state: 'attached' });
  const heights = await minute.locator('rect').evaluateAll((all) => all.map((one) => one.getBoundingClientRect().height));
  assert.ok(heights[1] > 0 && heights[1] <= heights[0] / 4, `all and failed: ${heights}`);
  assert.match(await minute.locator('title').textContent(), /10 events · 1 error$/);
});

test('nothing on the page moves without end, whatever the sessions do', async (t) => {
  const monitor = await startMonitor(t);
  await seedAll(monitor);
  const page = await openPage(monitor, { hash: '' });
  for (const name of ['overview', 'stream', 'activity', 'metrics', 'connections', 'settings']) {
    await at(page, `go-${name}`).click();
    await view(page, name).waitFor();
    const endless = await page.evaluate(() =>
      document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime === Infinity).length,
    );
    assert.equal(endless, 0, name);
  }
});

test('servers of claude-mpm are listed with how to stop them', async (t) => {
  const legacy = createServer((_, reply) => {
    reply.setHeader('content-type', 'application/json');
    reply.end('{"status":"healthy","service":"claude-mpm-monitor","version":"6.3.1","port":0,"pid":1,"uptime":5}');
  });
  // Only there do clients look for such servers.
  let port = 8785;
  while (!(await new Promise((done) => legacy.once('error', () => done(false)).listen(port, '127.0.0.1', () => done(true))))) port -= 1;
  t.after(() => legacy.close());
  const monitor = await startMonitor(t);
  const page = await openPage(monitor, { hash: '#/connections' });
  const line = at(page, 'legacy').locator('tr', { hasText: String(port) });
  await line.getByText("claude-mpm's Python monitor 6.3.1").waitFor();
  await line.getByText(`claude-mpm-monitor stop --port ${port}`).waitFor();
});

test('settings show what the monitor runs with, who chose it, and where its files are', async (t) => {
  const monitor = await startMonitor(t);
  const page = await openPage(monitor, { hash: '#/settings' });
  const port = at(page, 'configuration').locator('[data-key="port"]');
  assert.match(await port.innerText(), new RegExp(`${monitor.port}\\s+flag\\s+--port`));
  await at(page, 'configuration').getByLabel('Only what somebody chose').check();
  await at(page, 'configuration').locator('[data-key="retention_days"]').waitFor({ state: 'detached' });
  assert.match(await at(page, 'paths').innerText(), /events\.db/);
  assert.match(await at(page, 'diagnostics').innerText(), /"from": "flag"/);
});

test('an export masks secrets unless its reader chose otherwise', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(prompt('s-1', 'export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY'));
  const page = await openPage(monitor, { hash: '#/history' });
  await row(page, 1).waitFor();
  await at(page, 'export').click();
  const save = async () => {
    const [file] = await Promise.all([page.waitForEvent('download'), at(page, 'export-jsonl').click()]);
    return readFile(await file.path(), 'utf8');
  };
  assert.ok(!(await save()).includes('EXAMPLEKEY'));
  await at(page, 'export-unmasked').check();
  await at(page, 'export-masking').getByText(/passwords, keys and tokens as they were sent/).waitFor();
  assert.ok((await save()).includes('EXAMPLEKEY'));
});

test('details mask secrets until somebody asks to see those of this event', async (t) => {
  const monitor = await startMonitor(t);
  const bash = (id) => ({
    session_id: 's-1',
    cwd: '/home/dev/shop',
    hook_event_name: 'PostToolUse',
    tool_name: 'Bash',
    tool_use_id: id,
    tool_input: { command: `deploy ${id}` },
    tool_response: { stdout: 'AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY', stderr: '' },
  });
  await monitor.post(bash('one'), bash('two'), prompt('s-1', 'nothing to hide'));
  const page = await openPage(monitor, { hash: '#/stream?event=1' });
  const text = () => at(page, 'details').innerText();
  await at(page, 'secrets', '[data-masked="true"]').waitFor();
  assert.doesNotMatch(await text(), /EXAMPLEKEY/);
  assert.match(await text(), /AWS_SECRET_ACCESS_KEY=\[masked\]/);
  const raw = () => page.locator('[data-testid="details"] a[target="_blank"]').first().getAttribute('href');
  assert.doesNotMatch(await (await fetch(monitor.url + (await raw()))).text(), /EXAMPLEKEY/);

  await at(page, 'toggle-secrets').click();
  await at(page, 'blocks').getByText(/EXAMPLEKEY/).waitFor();
  await at(page, 'toggle-secrets').click();
  await at(page, 'blocks').getByText(/\[masked\]/).waitFor();

  await at(page, 'toggle-secrets').click();
  await at(page, 'blocks').getByText(/EXAMPLEKEY/).waitFor();
  await row(page, 2).click();
  await at(page, 'blocks').getByText('deploy two').waitFor();
  await at(page, 'secrets', '[data-masked="true"]').waitFor();
  assert.doesNotMatch(await text(), /EXAMPLEKEY/, 'asked for one event only');
  await row(page, 3).click();
  await at(page, 'blocks').getByText('nothing to hide').waitFor();
  assert.equal(await at(page, 'secrets').count(), 0);
});

test('a pause of capture is ordered from the palette, told in the header, and ended there', async (t) => {
  const monitor = await startMonitor(t);
  const page = await openPage(monitor, { hash: '' });
  await page.keyboard.press('Control+k');
  await at(page, 'palette-input').fill('pause capture');
  await page.keyboard.press('Enter');
  await at(page, 'capture-paused').getByText(/Capture paused until \d\d:\d\d/).first().waitFor();
  const { status } = await fetch(`${monitor.url}/api/events`, { method: 'POST', body: JSON.stringify(prompt('s-1', 'lost')) });
  assert.equal(status, 202, 'taken and not kept');
  await at(page, 'capture-resume').click();
  await at(page, 'capture-paused').waitFor({ state: 'detached' });
  await monitor.post(prompt('s-1', 'kept'));
  await at(page, 'session-card').waitFor();
});

test('another monitor is shown live through the page\'s own, and restarted and stopped from it', async (t) => {
  const monitor = await startMonitor(t);
  const other = await startMonitor(t, { home: monitor.home });
  await seedSession(other, { id: 'needs_you-0000-session', end: 'needs_you' });
  await monitor.post(prompt('s-here', 'hello'));
  const page = await openPage(monitor, { hash: '#/overview', mayLoseConnection: true });
  await at(page, 'elsewhere').getByText('1 need you, 0 working, 1 open').waitFor();
  await at(page, 'switcher').click();
  await at(page, 'instance', `[data-port="${other.port}"]`).click();
  await card(page, 'needs_you').waitFor();
  assert.match(page.url(), new RegExp(`instance=${other.port}`));
  await at(page, 'go-stream').click();
  await at(page, 'connection', '[data-state="live"]').waitFor();
  await other.post(prompt('s-there', 'live from elsewhere'));
  await at(page, 'event-row').getByText('live from elsewhere').waitFor();
  await at(page, 'event-row').last().click();
  await at(page, 'payload', '[data-state="ready"]').waitFor();
  await at(page, 'go-connections').click();
  const line = at(page, 'instances').locator('tr', { hasText: String(other.port) });
  const press = async (what) => {
    await line.getByTestId(`${what}-instance`).click();
    await line.getByTestId(`${what}-instance`).filter({ hasText: 'Really' }).click();
  };
  await press('restart');
  await line.getByTestId('order-note').getByText('restarting…').waitFor();
  await at(page, 'switcher').click();
  await at(page, 'instance', `[data-port="${monitor.port}"]`).click();
  await at(page, 'connection', '[data-state="live"]').waitFor();
  await press('stop');
  await line.waitFor({ state: 'detached' });
});

test('very long lines, right-to-left text and emoji stay inside their places', async (t) => {
  const monitor = await startMonitor(t);
  const texts = ['x'.repeat(20_000), 'مرحبا بالعالم هذا نص طويل '.repeat(40), '👩‍👩‍👧‍👦🏳️‍🌈 '.repeat(60), 'a\u202Eevil\u202C b'];
  for (const text of texts) await monitor.post({ ...prompt(`s-${text.slice(0, 8)}`, text), cwd: `/home/${text.slice(0, 120)}` });
  for (const hash of ['', '#/stream', `#/stream?event=1`, '#/history', '#/metrics', '#/activity']) {
    for (const width of [360, 1280]) {
      const page = await openPage(monitor, { hash, width });
      await at(page, 'view').waitFor();
      if (hash.includes('event')) await at(page, 'payload', '[data-state="ready"]').waitFor();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(wide <= 0, `${hash} at ${width}: ${wide} px too wide`);
      await page.context().close();
    }
  }
});

test('a payload of 10 MB shows its beginning and leaves the page quick', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post({ ...prompt('s-1', 'big'), blob: 'y'.repeat(10 * 1024 * 1024) });
  const page = await openPage(monitor, { hash: '#/stream?event=1' });
  await at(page, 'payload', '[data-state="ready"]').waitFor();
  assert.match(await at(page, 'payload').innerText(), /This payload is large/);
  assert.ok((await at(page, 'payload').innerText()).length < 300_000);
});

test('a browser whose clock is wrong still says since when', async (t) => {
  const monitor = await startMonitor(t);
  await seedSession(monitor, { id: 'needs_you-0000-session', end: 'needs_you', at: Date.now() - 600_000 });
  const page = await openPage(monitor, { hash: '', clock: Date.now() - 7_200_000 });
  await card(page, 'needs_you').getByText(/^\d+ m \d+ s$/).first().waitFor();
  await at(page, 'go-connections').click();
  await at(page, 'server').getByText(/differ by (2 h 00 m|1 h 59 m)/).waitFor();
});
