// Draws the pictures of the documents anew: the recorded sessions of the demo up to a question, and eight invented
// ones around them.
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { seedSession } from './seed.mjs';
import { at, openPage, startMonitor } from './support.mjs';

const RECORDING = new URL('../../crates/cli/assets/demo.jsonl', import.meta.url);
/** The recorded session in which somebody is asked for permission, and when that is. */
const SHOP = '3f0c2b9e-6d1a-4c57-9b0e-2a7dd3300d33';
const QUESTION_MS = 56_000;
const FOLDER = fileURLToPath(new URL('../../docs/screenshots/', import.meta.url));

const MINUTE = 60_000;
const SESSIONS = [
  { end: 'needs_you', project: 'billing-api', branch: 'schema-v2', title: 'Move invoices to the new schema', last: 'psql -f migrations/0042_invoices.sql', ago: 12 },
  { end: 'failed', project: 'infra', branch: 'main', title: 'Why the deploy of last night failed', ago: 8 },
  { end: 'done', project: 'shop', branch: 'cart-dark', title: 'Dark mode for the cart', ago: 10 },
  { end: 'working', project: 'search', branch: 'bm25', title: 'Rank exact matches first', last: 'cargo test -p ranking', ago: 7 },
  { end: 'working', project: 'billing-api', branch: 'retry', title: 'Retry failed webhooks', last: 'npm run check', ago: 9 },
  { end: 'working', project: 'mobile', branch: 'offline', title: 'Keep the cart while offline', last: './gradlew test', ago: 8 },
  { end: 'closed', project: 'docs', title: 'Explain the query language', ago: 40 },
  { end: 'closed', project: 'infra', title: 'Rotate the signing keys', ago: 55 },
];

test('pictures', async (t) => {
  const monitor = await startMonitor(t);
  const ids = SESSIONS.map((_, index) => `${(0x11c3a5e7 + index * 0x1a2b3c5d).toString(16).slice(-8)}-6d1a-4c57-9b0e-2a7dd3300d33`);
  for (const [index, { project, ago, ...session }] of SESSIONS.entries()) {
    await seedSession(monitor, { ...session, id: ids[index], project: `/home/dev/${project}`, at: Date.now() - ago * MINUTE });
  }
  const lines = (await readFile(RECORDING, 'utf8')).trim().split('\n').map((line) => JSON.parse(line));
  const begin = Date.now() - QUESTION_MS;
  const recorded = lines.filter(({ at_ms }) => at_ms < QUESTION_MS);
  await monitor.post(...recorded.map(({ at_ms, payload }) => ({ source: 'hook', occurred_at: begin + at_ms, payload })));
  const draw = async (name, hash, theme, ready) => {
    const page = await openPage(monitor, { hash, theme });
    await ready(page);
    // The counters and the width of the details settle within a second of the clock.
    await page.waitForFunction((before) => Date.now() > before + 1000, Date.now());
    await page.screenshot({ path: `${FOLDER}${name}.png` });
    await page.context().close();
  };
  await draw('overview-light', '', 'light', (page) => at(page, 'group-closed').waitFor());
  await draw('session-dark', `#/session/${SHOP}`, 'dark', (page) => at(page, 'call').first().waitFor());
  const { events } = await (await fetch(`${monitor.url}/api/events?session=${SHOP}&kind=PostToolUse&tool=Edit`)).json();
  await draw('details-dark', `#/stream?q=tool:Edit&event=${events[0].seq}`, 'dark', async (page) => {
    await at(page, 'blocks').waitFor();
    await at(page, 'payload', '[data-state="ready"]').waitFor();
  });
  await draw('activity-light', '#/activity', 'light', (page) => at(page, 'agent-graph').locator('text', { hasText: 'Explore' }).first().waitFor());
});
