// Claims about working without a mouse: everything can be reached and seen to be reached, and keys do what the help
// says.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { seedAll, VIEWS } from './seed.mjs';
import { at, failure, openPage, prompt, row, startMonitor } from './support.mjs';

test('Tab reaches every control of every view, and the focus is always seen', async (t) => {
  const monitor = await startMonitor(t);
  await seedAll(monitor);
  for (const [hash, ready] of VIEWS) {
    const page = await openPage(monitor, { hash });
    await at(page, ready).first().waitFor();
    const wanted = await page.evaluate(() => {
      const all = [...document.querySelectorAll('a[href], button, input, select, summary, [role="tab"]')];
      const reachable = all.filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility({ visibilityProperty: true }));
      for (const [index, one] of reachable.entries()) one.dataset.wanted = String(index);
      return reachable.length;
    });
    assert.ok(wanted > 10, `${hash}: ${wanted} controls`);
    const [reached, unseen] = [new Set(), []];
    // Live parts may be drawn anew meanwhile, so some rounds more than there are controls.
    for (let press = 0; press < wanted + 60; press += 1) {
      await page.keyboard.press('Tab');
      const focus = await page.evaluate(() => {
        const one = document.activeElement;
        // The link of a card shows it around the card, the list at its selected row.
        const styles = [getComputedStyle(one), getComputedStyle(one, '::after')];
        const selected = one.querySelector('[aria-selected="true"]');
        if (selected !== null) styles.push(getComputedStyle(selected));
        const isSeen = one === document.body || styles.some(({ outlineStyle, outlineWidth }) => outlineStyle !== 'none' && outlineWidth !== '0px');
        // A text field shows its focus at the box around it.
        const box = one.closest(':focus-within:not(html, body, #app, .page, .body, main)');
        return { index: one.dataset.wanted, name: one.outerHTML.slice(0, 120), isSeen: isSeen || (one.matches('input') && box !== null) };
      });
      if (focus.index !== undefined) reached.add(focus.index);
      if (!focus.isSeen) unseen.push(focus.name);
    }
    const missed = await page.evaluate(
      (seen) => [...document.querySelectorAll('[data-wanted]')].filter((one) => !seen.includes(one.dataset.wanted)).map((one) => one.outerHTML.slice(0, 160)),
      [...reached],
    );
    assert.deepEqual(missed, [], `${hash}: not reached`);
    assert.deepEqual(unseen, [], `${hash}: focus not seen`);
    await page.context().close();
  }
});

test('the stream is read by keys alone', async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(prompt('s-1', 'first'), failure('s-1', 'exit code 1'), prompt('s-2', 'third'), failure('s-2', 'exit code 2'), prompt('s-2', 'last'));
  const page = await openPage(monitor);
  await row(page, 5).waitFor();
  const selected = (seq) => row(page, seq).and(page.locator('[aria-selected="true"]')).waitFor();
  await page.keyboard.press('k');
  await selected(5);
  await page.keyboard.press('E');
  await selected(4);
  await page.keyboard.press('E');
  await selected(2);
  await page.keyboard.press('e');
  await selected(4);
  await page.keyboard.press('Home');
  await selected(1);
  await page.keyboard.press('j');
  await selected(2);
  await page.keyboard.press('Enter');
  await at(page, 'details', '[data-seq="2"]').waitFor();
  await page.keyboard.press('j');
  await at(page, 'details', '[data-seq="3"]').waitFor();
  await page.keyboard.press('Escape');
  await at(page, 'details').waitFor({ state: 'detached' });

  await at(page, 'event-list', '[data-following="false"]').waitFor();
  await page.keyboard.press('p');
  await at(page, 'event-list', '[data-following="true"]').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('status:error ');
  await row(page, 1).waitFor({ state: 'detached' });
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await row(page, 1).waitFor();

  await page.keyboard.press('Escape');
  await page.keyboard.press('Home');
  await selected(1);
  await page.keyboard.press('t');
  await at(page, 'session', '[data-session="s-1"]').waitFor();
  // The one that was told of last stands before it.
  await page.keyboard.press('[');
  await at(page, 'session', '[data-session="s-2"]').waitFor();
  await page.keyboard.press(']');
  await at(page, 'session', '[data-session="s-1"]').waitFor();
});

test('the key of the filter leads to it from every view', async (t) => {
  const monitor = await startMonitor(t);
  await seedAll(monitor);
  for (const hash of ['', '#/stream', '#/history', '#/metrics', '#/settings']) {
    const page = await openPage(monitor, { hash });
    await at(page, 'rail').waitFor();
    await page.keyboard.press('/');
    await page.waitForFunction(() => document.activeElement?.dataset.testid === 'filter');
    assert.equal(await at(page, 'filter').inputValue(), '', `${hash}: the key itself is not typed`);
    await page.context().close();
  }
});
