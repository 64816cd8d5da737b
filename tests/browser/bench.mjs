// How smooth the dashboard is, beside an empty page in the same run, because a machine without a graphics card draws
// slowly whatever the page does. Tasks are given by the processor time they used, since on a busy machine their
// duration says how long others ran; both are told. `make bench ARGS="--only browser"` puts the figures into its report:
// they are written to the file that BENCH_REPORT names, in the report's own shape. TEST_PROGRAMS is the monitor;
// BENCH_SECONDS, BENCH_EVENTS, BENCH_CALLS, BENCH_STORED and BENCH_STORED_LARGE make it shorter.
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { seedSession } from './seed.mjs';
import { at, openPage, PROGRAM, prompt, startMonitor } from './support.mjs';

const number = (name, standard) => Number(process.env[name] ?? standard);
const SECONDS = number('BENCH_SECONDS', 60);
const EVENTS = number('BENCH_EVENTS', 100_000);
const CALLS = number('BENCH_CALLS', 20_000);
const STORED = number('BENCH_STORED', 500_000);
const STORED_LARGE = number('BENCH_STORED_LARGE', 1_000_000);
const SEARCHES = 40;
const RATE = 1000;
const BODY_EVENTS = 1000;
/** What counts as long, by the definition of the browsers. */
const LONG_MS = 50;

const sections = [];
/** Starts a section of the report. */
const section = (title) => sections.push({ title, figures: [] });
/** Adds a figure to it: `limit` is [what, value], `asked` is {at_most} or {at_least}. */
function figure(what, value, unit, { limit, asked, note = '' } = {}) {
  const beside = limit && { what: limit[0], value: limit[1] };
  sections.at(-1).figures.push({ what, value, unit, limit: beside, asked, note });
  console.log(`  ${what.padEnd(52)} ${value.toFixed(1)} ${unit} ${beside ? `(${beside.what} ${beside.value.toFixed(1)})` : ''} ${note}`);
}
after(() => {
  if (process.env.BENCH_REPORT) writeFileSync(process.env.BENCH_REPORT, JSON.stringify({ sections }));
});

const percentile = (values, share) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? 0;
const wait = (page, ms) => page.waitForTimeout(ms);

/** Collects frames of the page and tasks of its main thread from now until the returned function is called. */
async function watch(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const metrics = async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  };
  const trace = [];
  session.on('Tracing.dataCollected', ({ value }) => trace.push(...value));
  await session.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { includedCategories: ['toplevel', 'devtools.timeline'], excludedCategories: ['*'] },
  });
  await page.evaluate(() => {
    performance.mark('bench');
    window.benchFrames = [];
    let last = performance.now();
    const frame = (now) => {
      window.benchFrames.push(now - last);
      last = now;
      window.benchFrame = requestAnimationFrame(frame);
    };
    window.benchFrame = requestAnimationFrame(frame);
  });
  const before = await metrics();
  return async () => {
    const after = await metrics();
    const frames = await page.evaluate(() => {
      cancelAnimationFrame(window.benchFrame);
      return window.benchFrames;
    });
    const ended = new Promise((resolve) => session.once('Tracing.tracingComplete', resolve));
    await session.send('Tracing.end');
    await ended;
    await session.detach();
    const script = ((after.ScriptDuration - before.ScriptDuration) * 1000) / Math.max(1, frames.length);
    return { frames, script, tasks: mainTasks(trace), heap: after.JSHeapUsedSize };
  };
}

/** The tasks of the main thread of the page that did most, each with its duration and processor time. */
function mainTasks(trace) {
  const key = ({ pid, tid }) => `${pid}:${tid}`;
  const isMain = new Set(trace.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(key));
  const byThread = new Map();
  for (const event of trace) {
    if (event.ph !== 'X' || !/RunTask$/.test(event.name) || !isMain.has(key(event))) continue;
    const tasks = byThread.get(key(event)) ?? [];
    tasks.push({ ms: event.dur / 1000, cpu: (event.tdur ?? 0) / 1000 });
    byThread.set(key(event), tasks);
  }
  const worked = (tasks) => tasks.reduce((sum, { cpu }) => sum + cpu, 0);
  return [...byThread.values()].sort((a, b) => worked(b) - worked(a))[0] ?? [];
}

/** Chromium counts the nested runs of a task, too; the outermost is the longest. */
function longestTask(what, tasks) {
  const long = (field) => tasks.filter((task) => task[field] > LONG_MS).length;
  const longest = (field) => Math.max(0, ...tasks.map((task) => task[field]));
  const note = `${long('cpu')} over ${LONG_MS} ms; by duration ${longest('ms').toFixed(0)} ms, ${long('ms')}`;
  figure(`${what}: longest task, CPU`, longest('cpu'), 'ms', { asked: { at_most: LONG_MS }, note });
}

/** The same for a page on which nothing happens. */
async function emptyPage(page) {
  const blank = await page.context().newPage();
  await blank.goto('about:blank');
  await blank.bringToFront();
  const done = await watch(blank);
  await wait(blank, 3000);
  const { frames, script } = await done();
  await blank.close();
  await page.bringToFront();
  return { frames, script };
}

function tell(name, seen, empty) {
  const limit = (of) => ['empty page', of(empty)];
  for (const share of [0.5, 0.95]) {
    const of = ({ frames }) => percentile(frames, share);
    figure(`${name}: frame p${share * 100}`, of(seen), 'ms', { limit: limit(of) });
  }
  figure(`${name}: script a frame`, seen.script, 'ms', { limit: limit(({ script }) => script) });
  longestTask(name, seen.tasks);
}

const one = (number) => ({
  ...prompt(`s-${number % 40}`, `round ${number} of the tax`),
  hook_event_name: number % 50 === 0 ? 'PostToolUseFailure' : 'PostToolUse',
  tool_name: ['Bash', 'Edit', 'Read'][number % 3],
  tool_input: { command: `cargo test -p tax --test round_${number}` },
  error: 'exit code 1',
});

/** Fills the store of a monitor by the command line's import, which is how a history comes over. */
function fill(monitor, count) {
  const file = join(monitor.home, 'history.ndjson');
  const out = openSync(file, 'w');
  const start = Date.now() - count * 100;
  for (let from = 0; from < count; from += 10_000) {
    const lines = Array.from({ length: Math.min(10_000, count - from) }, (_, index) => {
      const number = from + index;
      const payload = { ...one(number), session_id: `h-${Math.floor(number / 2000)}` };
      const event = { kind: payload.hook_event_name, session_id: payload.session_id, occurred_at: start + number * 100, payload };
      return `${JSON.stringify(event)}\n`;
    });
    writeSync(out, lines.join(''));
  }
  closeSync(out);
  execFileSync(PROGRAM, ['import', '--port', String(monitor.port), file], {
    env: { ...process.env, CLAUDE_MPM_HOME: monitor.home },
    stdio: 'ignore',
  });
}

/** In the page: how long it takes from the next input to the frame that shows its answer, which its address tells. */
function timeAnswer() {
  window.benchAnswer = new Promise((answered) => {
    const begin = () => {
      const [start, hash] = [performance.now(), location.hash];
      const look = () => {
        if (location.hash === hash) requestAnimationFrame(look);
        else requestAnimationFrame(() => answered(performance.now() - start));
      };
      requestAnimationFrame(look);
    };
    document.addEventListener('input', begin, { once: true, capture: true });
  });
}

test('live stream', { timeout: 1_200_000 }, async (t) => {
  section('The dashboard: a live stream, in Chromium');
  const monitor = await startMonitor(t);
  const page = await openPage(monitor, { mayLoseConnection: true });
  const empty = await emptyPage(page);
  let sent = 0;
  const post = (count) => monitor.post(...Array.from({ length: count }, () => one((sent += 1))));

  const loading = await watch(page);
  while (sent < EVENTS) await post(BODY_EVENTS);
  await page.waitForFunction(
    (count) => Number(document.querySelector('[data-testid="event-list"]')?.getAttribute('aria-rowcount')) >= count,
    Math.min(EVENTS, 95_000) * 0.95,
    { timeout: 300_000 },
  );
  tell(`${EVENTS} events come at once`, await loading(), empty);

  for (const query of ['tax', 'round_77', 'tool:Bash status:error ', 'project:shop dur:>1s ']) {
    const filtering = await watch(page);
    const before = await page.evaluate(() => performance.now());
    await page.evaluate(timeAnswer);
    await at(page, 'filter').fill(query);
    const shown = await page.evaluate(() => window.benchAnswer);
    await page.waitForFunction(() => !/older events…/.test(document.querySelector('[data-testid="list-lead"]')?.innerText ?? ''));
    const done = (await page.evaluate(() => performance.now())) - before;
    const { tasks } = await filtering();
    const name = `filter "${query.trim()}"`;
    figure(`${name}: to its answer`, shown, 'ms', { asked: { at_most: 100 }, note: `all rows tested after ${done.toFixed(0)} ms` });
    longestTask(name, tasks);
    await page.getByRole('button', { name: 'Clear filter' }).first().click();
    await at(page, 'chip').first().waitFor({ state: 'detached' });
  }

  const live = await watch(page);
  const heap = await page.evaluate(() => performance.memory?.usedJSHeapSize ?? 0);
  const stop = Date.now() + SECONDS * 1000;
  let next = Date.now();
  let late = 0;
  while (Date.now() < stop) {
    await post(RATE / 10);
    next += 100;
    if (next > Date.now()) await wait(page, next - Date.now());
    else late += 1;
  }
  const seen = await live();
  tell(`${RATE} events/s for ${SECONDS} s`, seen, empty);
  figure('bodies that this machine sent late', late, '');
  figure('heap after it', seen.heap / 1e6, 'MB', { limit: ['before', heap / 1e6] });
  figure('DOM elements', await page.evaluate(() => document.querySelectorAll('*').length), '');
});

test('waterfall', { timeout: 600_000 }, async (t) => {
  section('The dashboard: a long session over time');
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
  const empty = await emptyPage(page);
  const moving = await watch(page);
  await at(page, 'lanes').hover();
  for (let turn = 0; turn < 80; turn += 1) {
    await page.keyboard.press(turn < 28 ? 'w' : turn < 56 ? ['a', 'd'][turn % 2] : 's');
    await wait(page, 16);
  }
  tell(`waterfall of ${CALLS} calls, zoom and pan`, await moving(), empty);
});

/** Opens the page anew until a session shows; answers what the page itself measured. */
async function opening(page) {
  await page.reload();
  await at(page, 'session-card').first().waitFor();
  return page.evaluate(() => {
    const paint = performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0;
    const scripts = performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.js'));
    const bytes = scripts.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0);
    const rows = Number(document.querySelector('[data-testid="event-count"]')?.innerText.match(/\d[\d,]*/)?.[0].replaceAll(',', '') ?? 0);
    return { paint, usable: performance.now(), bytes, rows };
  });
}

for (const [stored, searches] of [
  [STORED, 0],
  [STORED_LARGE, SEARCHES],
]) {
  test(`${stored} stored events`, { timeout: 1_800_000 }, async (t) => {
    section(`The dashboard: ${stored} stored events`);
    const monitor = await startMonitor(t);
    fill(monitor, stored);
    await monitor.post(prompt('now', 'what is here now'));
    const page = await openPage(monitor, { hash: '' });
    const opened = [];
    for (let turn = 0; turn < 7; turn += 1) opened.push(await opening(page));
    const median = (field) => percentile(opened.map((one) => one[field]), 0.5);
    figure('first paint, p50 of 7', median('paint'), 'ms');
    figure('usable, p50 of 7', median('usable'), 'ms', { asked: { at_most: 500 }, note: `${median('rows')} rows loaded` });
    figure('JavaScript of the first load, compressed', median('bytes') / 1000, 'kB');
    if (searches === 0) return;
    // The first search waits for the index of what was just imported; that is no search's time.
    await fetch(`${monitor.url}/api/events?limit=1&q=indexed`);
    const took = [];
    for (let turn = 0; turn < searches; turn += 1) {
      const words = [`round_${turn * 997}`, 'tax', `"cargo test" round_${turn}`, 'exit code tool:Bash status:error'][turn % 4];
      const start = performance.now();
      await (await fetch(`${monitor.url}/api/events?limit=100&query=${encodeURIComponent(words)}`)).json();
      took.push(performance.now() - start);
    }
    for (const share of [0.5, 0.95]) {
      figure(`search, first page: p${share * 100}`, percentile(took, share), 'ms', { asked: { at_most: 100 } });
    }
  });
}
