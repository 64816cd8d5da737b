// Posts invented events of a few sessions to a running monitor, for development; see --help.
import { parseArgs } from 'node:util';

import { Invention } from './invention.mjs';

const { values: options } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://127.0.0.1:8765' },
    rate: { type: 'string', default: '4' },
    history: { type: 'string', default: '1500' },
    help: { type: 'boolean', default: false },
  },
});

if (options.help) {
  console.log(`feed [--url http://127.0.0.1:8765] [--history 1500] [--rate 4]
  --history  events of the last half hour, posted at once
  --rate     events a second from then on; 0 ends after the history`);
  process.exit(0);
}

const HISTORY_MS = 30 * 60_000;
const BODY_EVENTS = 500;
const invention = new Invention();

async function post(events) {
  const body = JSON.stringify(events);
  const reply = await fetch(`${options.url}/api/events`, { method: 'POST', body });
  if (!reply.ok) throw new Error(`${reply.status} ${await reply.text()}`);
}

function next(at) {
  const { id, kind, session_id, project, payload } = invention.next(at);
  return { id, kind, session_id, project, occurred_at: at, payload };
}

const count = Number(options.history);
const begin = Date.now() - HISTORY_MS;
for (let from = 0; from < count; from += BODY_EVENTS) {
  const events = Array.from({ length: Math.min(BODY_EVENTS, count - from) }, (_, at) =>
    next(Math.round(begin + ((from + at) / count) * HISTORY_MS)),
  );
  await post(events);
}

const rate = Number(options.rate);
if (rate > 0) {
  const everyMs = Math.max(20, 1000 / rate);
  let owed = 0;
  setInterval(() => {
    owed += (rate * everyMs) / 1000;
    const events = Array.from({ length: Math.floor(owed) }, () => next(Date.now()));
    owed -= events.length;
    if (events.length > 0) post(events).catch((error) => console.error(String(error)));
  }, everyMs);
}
