// Claims about the dashboard as a person meets it: in a browser, served by the real monitor.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { at, failure, openPage, prompt, row, startMonitor } from './support.mjs';

/** Sequence numbers of the rows on the screen. */
const visible = (page) =>
  at(page, 'event-list').evaluate((list) => {
    const frame = list.getBoundingClientRect();
    return [...list.querySelectorAll('[data-testid="event-row"]')]
      .filter((row) => {
        const { top, bottom } = row.getBoundingClientRect();
        return top >= frame.top && bottom <= frame.bottom + 1;
      })
      .map((row) => Number(row.dataset.seq));
  });

const prompts = (count, session = 's-1') =>
  Array.from({ length: count }, (_, number) => prompt(session, `prompt ${number}`));

test('an empty monitor says how to send a first event, and its button sends one', async (t) => {
  const monitor = await startMonitor(t);
  const page = await openPage(monitor);
  await at(page, 'send-test').click();
  await row(page, 1).waitFor();
});

test('a monitor that only tells of itself still says how to begin', async (t) => {
  const monitor = await startMonitor(t, undefined, { ownEvents: true });
  const page = await openPage(monitor, { hash: '' });
  await at(page, 'first-run').waitFor();
  await at(page, 'go-stream').click();
  await row(page, 1).waitFor();
  assert.equal(await row(page, 1).getAttribute('data-kind'), 'system.started');
});

test('the licences of what the dashboard contains are served with it', async (t) => {
  const monitor = await startMonitor(t);
  const answer = await fetch(new URL('/third-party-licenses.txt', monitor.url));
  assert.equal(answer.headers.get('content-type'), 'text/plain');
  const text = await answer.text();
  for (const name of ['svelte', 'socket.io-client', 'uplot']) {
    assert.match(text.toLowerCase(), new RegExp(`^## ${name} `, 'm'));
  }
});

test('an event that is posted is on the screen without reloading', async (t) => {
  const monitor = await startMonitor(t);
  const page = await openPage(monitor);
  await monitor.post(prompt('s-1', 'why does checkout round the tax twice'));
  await row(page, 1).waitFor();
  assert.match(await row(page, 1).innerText(), /checkout round the tax twice/);
  assert.equal(await row(page, 1).getAttribute('data-kind'), 'UserPromptSubmit');
});

test('events that were there before are shown, the newest in sight', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(...prompts(200));
  const page = await openPage(monitor);
  await row(page, 200).waitFor();
  assert.equal((await visible(page)).at(-1), 200);
});

test('the list follows the newest event', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(...prompts(200));
  const page = await openPage(monitor);
  await row(page, 200).waitFor();
  for (const seq of [201, 202, 203]) {
    await monitor.post(prompt('s-1', 'and one more'));
    await row(page, seq).waitFor();
  }
  assert.equal((await visible(page)).at(-1), 203);
});

test('what is being read stays where it is, and new events are counted', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(...prompts(200));
  const page = await openPage(monitor);
  await row(page, 200).waitFor();
  await at(page, 'event-list').hover();
  await page.mouse.wheel(0, -1500);
  await at(page, 'new-pill', '[data-count="0"]').waitFor();
  const reading = await visible(page);
  assert.ok(reading.at(-1) < 200, `scrolled up: ${reading}`);

  await monitor.post(...prompts(7));
  await at(page, 'new-pill', '[data-count="7"]').waitFor();
  assert.match(await at(page, 'new-pill').innerText(), /7 new/);
  assert.deepEqual(await visible(page), reading, 'nothing moved');

  await at(page, 'new-pill').click();
  await row(page, 207).waitFor();
  await at(page, 'new-pill').waitFor({ state: 'detached' });
  assert.equal((await visible(page)).at(-1), 207);
});

test('the filter shows only events with all its words, now and later', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(prompt('s-1', 'round the tax'), prompt('s-1', 'paint the fence'));
  const page = await openPage(monitor);
  await row(page, 2).waitFor();
  await at(page, 'filter').fill('tax round');
  await row(page, 2).waitFor({ state: 'detached' });
  await monitor.post(prompt('s-1', 'a fence'), prompt('s-1', 'a tax that is round'));
  await row(page, 4).waitFor();
  assert.deepEqual(await visible(page), [1, 4]);
  await at(page, 'filter').fill('');
  await row(page, 3).waitFor();
  assert.deepEqual(await visible(page), [1, 2, 3, 4]);
});

test('failures alone can be shown', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(prompt('s-1', 'run the tests'), failure('s-1', 'exit code 1'), prompt('s-1', 'again'));
  const page = await openPage(monitor);
  await row(page, 3).waitFor();
  await at(page, 'filter-errors').click();
  await row(page, 1).waitFor({ state: 'detached' });
  assert.deepEqual(await visible(page), [2]);
});

test('a click opens the event with its payload, and a link opens the same', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post({
    ...prompt('s-1', 'hello'),
    a_new_field: { deep: ['needle in the payload'] },
  });
  const page = await openPage(monitor);
  await row(page, 1).click();
  await at(page, 'payload', '[data-state="ready"]').waitFor();
  assert.match(await at(page, 'payload').innerText(), /needle in the payload/);
  const { hash } = new URL(page.url());
  await at(page, 'details-close').click();
  await at(page, 'details').waitFor({ state: 'detached' });

  const again = await openPage(monitor, { hash });
  await at(again, 'details', '[data-seq="1"]').waitFor();
});

test('HTML in an event is text and nothing else', async (t) => {
  const monitor = await startMonitor(t);
  const evil = `<img src="/stolen" onerror="window.hacked = true"><script>window.hacked = true</script>`;
  await monitor.post({
    ...failure(evil, evil),
    agent_id: 'a-1',
    agent_type: evil,
    tool_name: evil,
    cwd: `/home/${evil}`,
    [evil]: { [evil]: [evil] },
  });
  await monitor.post({ ...prompt('s-1', evil), hook_event_name: evil });
  const page = await openPage(monitor);
  const requests = [];
  page.on('request', (request) => requests.push(request.url()));
  for (const seq of [1, 2]) {
    await row(page, seq).click();
    await at(page, 'details', `[data-seq="${seq}"]`).waitFor();
    await at(page, 'payload', '[data-state="ready"]').waitFor();
    assert.match(await at(page, 'payload').innerText(), /<img src=/, 'shown as it is');
  }
  const isText = async (where) => {
    assert.equal(await page.evaluate(() => window.hacked), undefined, where);
    assert.equal(await page.locator('img, script:not([src])').count(), 0, where);
  };
  await isText('details');
  await at(page, 'details-close').click();
  for (const name of ['overview', 'history', 'activity', 'metrics']) {
    await at(page, `go-${name}`).click();
    await at(page, 'view', `[data-view="${name}"]`)
      .getByText('<img src=')
      .first()
      .waitFor({ state: 'attached' });
    await isText(name);
  }
  await page.goto(`${monitor.url}/#/session/${encodeURIComponent(evil)}`);
  await at(page, 'call').first().waitFor();
  await isText('session');
  await page.keyboard.press('Control+k');
  await at(page, 'palette-input').fill(evil);
  await at(page, 'palette-entry').getByText('<img src=').first().waitFor();
  await isText('palette');
  assert.deepEqual(
    requests.filter((url) => new URL(url).pathname === '/stolen'),
    [],
  );
});

test('after a crash of the monitor the page says so, comes back by itself and misses nothing', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(...prompts(3));
  const page = await openPage(monitor, { mayLoseConnection: true });
  await row(page, 3).waitFor();
  await monitor.crash();
  await at(page, 'connection', '[data-state="lost"]').waitFor();
  await at(page, 'banner-lost').waitFor();
  assert.deepEqual(await visible(page), [1, 2, 3], 'what was received stays');

  const again = await startMonitor(t, monitor);
  await again.post(prompt('s-1', 'nobody was looking'));
  await at(page, 'connection', '[data-state="live"]').waitFor();
  await row(page, 4).waitFor();
  await again.post(prompt('s-1', 'and on'));
  await row(page, 5).waitFor();
  assert.deepEqual(await visible(page), [1, 2, 3, 4, 5]);
});

test('what a burst took out of reach is marked in the list, fetched, and then in its place', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(...prompts(3));
  const page = await openPage(monitor);
  await row(page, 3).waitFor();
  // The answer that fills the gap waits until the gap was seen.
  let release;
  const seen = new Promise((resolve) => (release = resolve));
  await page.route(/api\/events\?after=/, async (route) => {
    await seen;
    await route.continue();
  });
  // More at once than the monitor holds for who is slow: the oldest of them are missed.
  await monitor.post(...prompts(12_000));
  await at(page, 'connection', '[data-state="filling"]').waitFor();
  await page.keyboard.press('Home');
  await at(page, 'gap').waitFor();
  const missed = Number(await at(page, 'gap').getAttribute('data-count'));
  assert.ok(missed > 1000, `${missed} missed`);
  release();
  await at(page, 'connection', '[data-state="live"]').waitFor();
  await at(page, 'event-count').getByText('12,003 events loaded').waitFor();
  assert.equal(await at(page, 'gap').count(), 0);
  await row(page, 4).waitFor();
  assert.deepEqual((await visible(page)).slice(0, 6), [1, 2, 3, 4, 5, 6]);
});

test('when the monitor moves to another port the page follows and shows the same history', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(...prompts(3));
  const page = await openPage(monitor, {
    hash: '#/stream?q=prompt',
    mayLoseConnection: true,
    mayMove: true,
  });
  await row(page, 3).waitFor();
  const there = await monitor.move();
  await page.waitForURL(`${there}/**`);
  await at(page, 'connection', '[data-state="live"]').waitFor();
  await row(page, 3).waitFor();
  assert.match(page.url(), /q=prompt/, 'the filter came along');
  const reply = await fetch(`${there}/api/events`, {
    method: 'POST',
    body: JSON.stringify(prompt('s-1', 'prompt here')),
  });
  assert.ok(reply.ok);
  await row(page, 4).waitFor();
});

test('events that no disk could keep are told', async (t) => {
  const monitor = await startMonitor(t);
  const spool = join(monitor.home, 'monitor', 'spool');
  mkdirSync(spool, { recursive: true });
  // One byte for each event that a hook could not keep.
  writeFileSync(join(spool, 'refused'), '...');
  const page = await openPage(monitor);
  await at(page, 'not-spooled').waitFor();
  assert.equal(await at(page, 'not-spooled').innerText(), '3 events could not be spooled');
});

test('what keeps hooks from keeping events is told, and no longer once it is gone', async (t) => {
  const monitor = await startMonitor(t);
  const spool = join(monitor.home, 'monitor', 'spool');
  writeFileSync(spool, 'a file where a folder should be');
  const page = await openPage(monitor);
  await at(page, 'spool-problem').waitFor();
  const told = await at(page, 'spool-problem').innerText();
  assert.match(
    told,
    /^Hooks cannot keep events: .*spool is a link or a file, no folder; move it away\s+While no monitor answers, what hooks/,
  );
  rmSync(spool);
  await at(page, 'spool-problem').waitFor({ state: 'detached' });
});

test('what befell the store is told whole, on a phone too', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(prompt('s-1', 'prompt here'));
  const page = await openPage(monitor, { hash: '#/', width: 390 });
  rmSync(join(monitor.home, 'monitor', 'events.db'));
  const told = at(page, 'store-trouble');
  await told.waitFor();
  assert.match(
    await told.innerText(),
    /^Store degraded: its files were removed .* back in .*events\.db; stop the monitor/,
  );
  const isWhole = (part) => part.scrollWidth <= part.clientWidth && part.scrollHeight <= part.clientHeight;
  assert.ok(await told.evaluate(isWhole), 'nothing of it is cut off');
  assert.match(await at(page, 'system-status').innerText(), /^Store degraded\s/);
  assert.ok(await at(page, 'system-status').evaluate(isWhole));
});
