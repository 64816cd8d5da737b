// Claims about an exported report as a person meets it: opened from disk, with nothing else at hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { failure, openReport, prompt, startMonitor } from './support.mjs';

test('a report opens from disk, shows payloads, and can be searched', async (t) => {
  const monitor = await startMonitor(t);
  const evil = '<script>document.title = "taken over"</script><img src=x onerror=alert(1)>';
  await monitor.post(prompt('s-1', 'find the needle'), prompt('s-2', evil), failure('s-2', 'exit 7'));
  const page = await openReport(t, monitor);
  const events = page.locator('.event:visible');
  assert.equal(await page.title(), 'Claude Code sessions');
  assert.equal(await events.count(), 3);
  await events.nth(1).locator('summary').click();
  assert.ok((await events.nth(1).locator('pre').textContent()).includes('taken over'), 'as text');
  await page.keyboard.press('/');
  await page.keyboard.type('NEEDLE prompt');
  await page.locator('#shown', { hasText: '1 of 3 events' }).waitFor();
  await page.locator('#words').fill('');
  await page.locator('#failures').check();
  await page.locator('#shown', { hasText: '1 of 3 events' }).waitFor();
  assert.ok((await events.textContent()).includes('exit 7'));
});
