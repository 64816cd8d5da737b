// Every view passes axe's checks of WCAG 2.2 AA, in both themes and on a phone.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { seedAll, VIEWS } from './seed.mjs';
import { at, openPage, prompt, startMonitor } from './support.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

async function violations(page) {
  // The page's own policy forbids inline scripts; the test runs the checks from outside it.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(
    (tags) => window.axe.run(document, { runOnly: { type: 'tag', values: tags } }),
    TAGS,
  );
  return violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ target, any, all }) => `${target} ${[...any, ...all].map(({ message }) => message)}`).join('; ')}`,
  );
}

for (const look of [{ theme: 'light' }, { theme: 'dark' }, { theme: 'contrast' }, { theme: 'light', width: 360 }]) {
  test(`every view is accessible: ${JSON.stringify(look)}`, async (t) => {
    const monitor = await startMonitor(t);
    await seedAll(monitor);
    await seedAll(await startMonitor(t, { home: monitor.home }));
    const found = [];
    for (const [hash, ready] of VIEWS) {
      const page = await openPage(monitor, { hash, ...look });
      await at(page, ready).first().waitFor();
      await at(page, 'switcher').waitFor();
      found.push(...(await violations(page)).map((violation) => `${hash} ${violation}`));
      await page.context().close();
    }
    assert.deepEqual(found, []);
  });
}

test('the palette, the help, the first run and a lost connection are accessible', async (t) => {
  const monitor = await startMonitor(t);
  const page = await openPage(monitor, { hash: '', mayLoseConnection: true });
  await at(page, 'first-run').waitFor();
  assert.deepEqual(await violations(page), [], 'first run');
  await page.keyboard.press('Control+k');
  await at(page, 'palette').waitFor();
  assert.deepEqual(await violations(page), [], 'palette');
  await page.keyboard.press('Escape');
  await at(page, 'palette').waitFor({ state: 'detached' });
  await page.keyboard.press('?');
  await at(page, 'help').waitFor();
  assert.deepEqual(await violations(page), [], 'help');
  await page.keyboard.press('Escape');
  await monitor.crash();
  await at(page, 'banner-lost').waitFor();
  assert.deepEqual(await violations(page), [], 'lost connection');
});

for (const theme of ['light', 'dark', 'contrast']) {
  test(`masked secrets, a pause of capture and a replay are accessible: ${theme}`, async (t) => {
    const monitor = await startMonitor(t);
    await seedAll(monitor);
    const token = 'AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY';
    await monitor.post({ ...prompt('s-1', token), occurred_at: new Date().toISOString() });
    const page = await openPage(monitor, { hash: '#/stream', theme });
    await at(page, 'event-row').last().click();
    await at(page, 'secrets', '[data-masked="true"]').waitFor();
    assert.deepEqual(await violations(page), [], 'masked');
    await at(page, 'toggle-secrets').click();
    await at(page, 'secrets', '[data-masked="false"]').waitFor();
    await page.evaluate(() => fetch('/api/capture', { method: 'POST', body: '{"paused":true,"minutes":5}' }));
    await page.reload();
    await at(page, 'capture-resume').waitFor();
    await at(page, 'toggle-secrets').click();
    assert.deepEqual(await violations(page), [], 'shown, and capture paused');
    await page.goto(`${monitor.url}/#/session/closed-0000-session`);
    await at(page, 'session', '[data-loading="false"]').waitFor();
    await at(page, 'call').first().waitFor();
    await at(page, 'replay-position').fill('500');
    await at(page, 'replay-end').waitFor();
    assert.deepEqual(await violations(page), [], 'replay in the session');
    await at(page, 'go-overview').click();
    await at(page, 'session-card').waitFor();
    await at(page, 'replay-end').waitFor();
    assert.deepEqual(await violations(page), [], 'replay elsewhere');
  });
}

test('in the colours of the system what is chosen is marked, and colours that are data stay', async (t) => {
  const monitor = await startMonitor(t);
  await seedAll(monitor);
  const page = await openPage(monitor, { hash: '#/session/working-0000-session' });
  await page.emulateMedia({ forcedColors: 'active' });
  await at(page, 'call').first().waitFor();
  const background = (selector) =>
    page.locator(selector).evaluateAll((all) => all.map((one) => getComputedStyle(one).backgroundColor));
  const swatches = await background('.swatch');
  assert.equal(new Set(swatches).size, 5, `${swatches}`);
  const [chosen] = await background('[data-testid="rail"] [aria-current]');
  const others = await background('[data-testid="rail"] a:not([aria-current])');
  assert.ok(others.length === 6 && !others.includes(chosen), `${chosen} among ${others}`);
  const [tab] = await background('[role="tab"][aria-selected="true"]');
  assert.ok(!(await background('[role="tab"][aria-selected="false"]')).includes(tab), tab);
  assert.deepEqual(await violations(page), []);
});

test('who wants no motion gets none', async (t) => {
  const monitor = await startMonitor(t);
  const page = await openPage(monitor, { hash: '' });
  await page.emulateMedia({ reducedMotion: 'reduce' });
  const moving = () => page.evaluate(() => document.getAnimations().filter(({ playState }) => playState === 'running').length);
  await at(page, 'first-run').waitFor();
  assert.equal(await moving(), 0, 'first run');
  await seedAll(monitor);
  await at(page, 'session-card').first().waitFor();
  for (const name of ['overview', 'stream', 'activity']) {
    await at(page, `go-${name}`).click();
    await at(page, 'view', `[data-view="${name}"]`).waitFor();
    assert.equal(await moving(), 0, name);
  }
});
