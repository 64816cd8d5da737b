// How smooth the dashboard is: figures beside those of an empty page in the same run, because a machine without a
// graphics card draws slowly whatever the page does. `npm run bench`; BENCH_SECONDS and BENCH_EVENTS make it shorter.
import { test } from 'node:test';

import { seedSession } from './seed.mjs';
import { at, openPage, prompt, startMonitor } from './support.mjs';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 60);
const EVENTS = Number(process.env.BENCH_EVENTS ?? 100_000);
const CALLS = Number(process.env.BENCH_CALLS ?? 20_000);
const RATE = 1000;
const BODY_EVENTS = 1000;

const say = (name, value) => console.log(`${name.padEnd(44)} ${value}`);
const percentile = (values, share) => values.sort((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? 0;

/** Watches long tasks and frames from now on. */
const watch = (page) =>
  page.evaluate(() => {
    window.bench = { tasks: [], frames: [] };
    window.benchObserver ??= new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) window.bench.tasks.push(duration);
    });
    window.benchObserver.observe({ type: 'longtask' });
    let last = performance.now();
    const frame = (now) => {
      window.bench.frames.push(now - last);
      last = now;
      window.benchFrame = requestAnimationFrame(frame);
    };
    cancelAnimationFrame(window.benchFrame);
    window.benchFrame = requestAnimationFrame(frame);
  });

async function script(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  return async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    const value = (name) => metrics.find((metric) => metric.name === name)?.value ?? 0;
    return {
      script: value('ScriptDuration') * 1000,
      task: value('TaskDuration') * 1000,
      heap: value('JSHeapUsedSize'),
      nodes: value('Nodes'),
    };
  };
}

/** What happened since `watch`. */
async function report(page, name, before, after, empty) {
  const { tasks, frames } = await page.evaluate(() => window.bench);
  const count = Math.max(1, frames.length);
  say(`${name}: frames, p50 / p95`, `${percentile(frames, 0.5).toFixed(1)} / ${percentile(frames, 0.95).toFixed(1)} ms${empty}`);
  say(`${name}: script a frame`, `${((after.script - before.script) / count).toFixed(2)} ms`);
  say(`${name}: long tasks, longest`, `${tasks.length}, ${Math.max(0, ...tasks).toFixed(0)} ms`);
}

const wait = (page, ms) => page.waitForTimeout(ms);

test('smooth', { timeout: 1_200_000 }, async (t) => {
  const monitor = await startMonitor(t);
  const page = await openPage(monitor, { mayLoseConnection: true });

  const blank = await page.context().newPage();
  await blank.goto('about:blank');
  await blank.bringToFront();
  await watch(blank);
  await wait(blank, 2000);
  const frames = await blank.evaluate(() => window.bench.frames);
  const empty = ` (empty page ${percentile(frames, 0.5).toFixed(1)} / ${percentile(frames, 0.95).toFixed(1)} ms)`;
  await blank.close();
  await page.bringToFront();

  const read = await script(page);
  const one = (number) => ({
    ...prompt(`s-${number % 40}`, `round ${number} of the tax`),
    hook_event_name: number % 50 === 0 ? 'PostToolUseFailure' : 'PostToolUse',
    tool_name: ['Bash', 'Edit', 'Read'][number % 3],
    tool_input: { command: `cargo test -p tax --test round_${number}` },
    error: 'exit code 1',
  });
  let sent = 0;
  const post = async (count) => {
    await monitor.post(...Array.from({ length: count }, () => one((sent += 1))));
  };

  await watch(page);
  while (sent < EVENTS) await post(BODY_EVENTS);
  await page.waitForFunction(
    (count) => Number(document.querySelector('[data-testid="event-list"]')?.getAttribute('aria-rowcount')) >= count,
    Math.min(EVENTS, 95_000) * 0.95,
    { timeout: 300_000 },
  );
  const { tasks } = await page.evaluate(() => window.bench);
  say(`${EVENTS} events loaded: long tasks, longest`, `${tasks.length}, ${Math.max(0, ...tasks).toFixed(0)} ms`);

  for (const query of ['tax', 'round_77', 'tool:Bash status:error ', 'project:shop dur:>1s ']) {
    await watch(page);
    const before = await page.evaluate(() => performance.now());
    await at(page, 'filter').fill(query);
    await page.waitForURL(new RegExp(encodeURIComponent(query.trim()).replaceAll('%20', '\\+').replaceAll('.', '\\.')));
    await page.waitForFunction(() => !/older events…/.test(document.querySelector('[data-testid="list-lead"]')?.innerText ?? ''));
    const took = (await page.evaluate(() => performance.now())) - before;
    const found = await page.evaluate(() => window.bench.tasks);
    say(`filter "${query.trim()}": done, longest task`, `${took.toFixed(0)} ms (90 of them typing), ${Math.max(0, ...found).toFixed(0)} ms`);
    await page.getByRole('button', { name: 'Clear filter' }).first().click();
    await at(page, 'chip').first().waitFor({ state: 'detached' });
  }

  const first = await read();
  await watch(page);
  const stop = Date.now() + SECONDS * 1000;
  let next = Date.now();
  let late = 0;
  while (Date.now() < stop) {
    await post(RATE / 10);
    next += 100;
    if (next > Date.now()) await wait(page, next - Date.now());
    else late += 1;
  }
  const last = await read();
  await report(page, `${RATE} events/s for ${SECONDS} s`, first, last, empty);
  say('  bodies sent late (this machine)', String(late));
  say('  heap before / after', `${(first.heap / 1e6).toFixed(0)} / ${(last.heap / 1e6).toFixed(0)} MB`);
  say('  DOM nodes', String(await page.evaluate(() => document.querySelectorAll('*').length)));
});

test('waterfall', { timeout: 600_000 }, async (t) => {
  const monitor = await startMonitor(t);
  await seedSession(monitor, { id: 'long', end: 'working' });
  const begin = Date.now() - CALLS * 400;
  for (let from = 0; from < CALLS; from += BODY_EVENTS / 2) {
    const events = Array.from({ length: BODY_EVENTS / 2 }, (_, index) => from + index).flatMap((number) => {
      const about = {
        session_id: 'long',
        cwd: '/home/dev/shop',
        tool_name: ['Bash', 'Edit', 'Read'][number % 3],
        tool_use_id: `w${number}`,
        tool_input: { command: `step ${number}` },
      };
      const event = (hook_event_name, time, more) => ({
        kind: hook_event_name,
        session_id: 'long',
        occurred_at: time,
        payload: { ...about, hook_event_name, ...more },
      });
      const start = begin + number * 400;
      return [event('PreToolUse', start), event('PostToolUse', start + 380, { duration_ms: 300, tool_response: {} })];
    });
    await monitor.post(...events);
  }
  const page = await openPage(monitor, { hash: '#/session/long' });
  await at(page, 'session', '[data-loading="false"]').waitFor({ timeout: 120_000 });
  await wait(page, 1500);
  const read = await script(page);
  const before = await read();
  await watch(page);
  await at(page, 'lanes').hover();
  for (let turn = 0; turn < 40; turn += 1) {
    await page.keyboard.press(turn < 14 ? 'w' : turn < 28 ? ['a', 'd'][turn % 2] : 's');
    await wait(page, 16);
  }
  await report(page, `waterfall of ${CALLS} calls`, before, await read(), '');
});

test('first paint', { timeout: 120_000 }, async (t) => {
  const monitor = await startMonitor(t);
  await monitor.post(...Array.from({ length: 1000 }, (_, number) => prompt('s-1', `prompt ${number}`)));
  const page = await openPage(monitor, { hash: '' });
  const started = Date.now();
  await page.reload();
  await at(page, 'session-card').first().waitFor();
  say('usable after', `${Date.now() - started} ms`);
  const bytes = await page.evaluate(() =>
    performance
      .getEntriesByType('resource')
      .filter(({ name }) => name.endsWith('.js'))
      .map(({ encodedBodySize }) => encodedBodySize)
      .reduce((sum, size) => sum + size, 0),
  );
  say('JavaScript of the first load, compressed', `${(bytes / 1000).toFixed(0)} kB`);
});
