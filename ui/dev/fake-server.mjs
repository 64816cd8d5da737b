// A stand-in for the monitor: serves dist/ under the same security policy and speaks the dashboard's contract
// with invented events. For development and browser tests; see --help.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { Server } from 'socket.io';

import { Invention } from './invention.mjs';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '8765' },
    rate: { type: 'string', default: '4' },
    history: { type: 'string', default: '1500' },
    version: { type: 'string', default: '0.1.0' },
    help: { type: 'boolean', default: false },
  },
});

if (options.help) {
  console.log(`fake-server [--port 8765] [--rate 4] [--history 1500] [--version 0.1.0]
  --rate     events a second; 0 sends none
  --history  events stored before the start
While it runs:
  POST /dev/burst?n=1000         that many events at once
  POST /dev/rate?n=1000          another rate
  POST /dev/gap?n=200            events that viewers are only told about with a gap
  POST /dev/epoch                another, empty store
  POST /dev/drop                 all viewers are disconnected
  POST /dev/version?v=0.2.0      another version from the next subscription on`);
  process.exit(0);
}

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const POLICY = "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'";
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};
const BATCH_MS = 50;
const started = Date.now();

let version = options.version;
let epoch = crypto.randomUUID();
let events = [];
let sessions = new Map();
let rate = Number(options.rate);
let unsent = [];
const changed = new Set();
const invention = new Invention();

function store(event, { announce = true } = {}) {
  const stored = { ...event, seq: events.length + 1, received_at: event.occurred_at + 3 };
  events.push(stored);
  const row = rowOf(stored);
  if (announce) unsent.push(row);
  if (row.session_id) {
    const old = sessions.get(row.session_id);
    const session = old ?? {
      session_id: row.session_id,
      started_at: row.occurred_at,
      events: 0,
      errors: 0,
      tool_calls: 0,
    };
    sessions.set(row.session_id, {
      ...session,
      project: row.project ?? session.project,
      title: event.payload?.session_title ?? session.title,
      model: event.payload?.model ?? session.model,
      last_event_at: row.occurred_at,
      last_seq: row.seq,
      events: session.events + 1,
      errors: session.errors + (row.is_error ? 1 : 0),
      tool_calls: session.tool_calls + (row.kind === 'PreToolUse' ? 1 : 0),
      last_summary: row.summary,
      ended_at:
        row.kind === 'SessionEnd'
          ? row.occurred_at
          : row.kind === 'SessionStart'
            ? undefined
            : session.ended_at,
    });
    changed.add(row.session_id);
  }
  return stored;
}

function rowOf(event) {
  const row = { ...event };
  delete row.payload;
  return row;
}

const history = Number(options.history);
for (let n = 0; n < history; n += 1) {
  // A quiet stretch in the middle, and one over night before it.
  const quiet = (n < history / 3 ? 14 * 3_600_000 : 0) + (n < history - 18 ? 11 * 60_000 : 0);
  store(invention.next(Date.now() - (history - n) * 900 - quiet), { announce: false });
}

const server = createServer((request, response) => {
  handle(request, response).catch((error) =>
    answer(response, 500, { code: 'broken', message: String(error) }),
  );
});
const io = new Server(server, { serveClient: false });
const stream = io.of('/stream');

stream.on('connection', (socket) => {
  socket.on('subscribe', (subscribe = {}, ack) => {
    const limit = Math.min(Number(subscribe.limit ?? 500), 1000);
    const resumes = Number.isInteger(subscribe.after);
    const wanted = resumes ? events.slice(subscribe.after) : events;
    const some = resumes ? wanted.slice(0, limit) : wanted.slice(-limit);
    const list = [...sessions.values()].sort((a, b) => b.last_event_at - a.last_event_at);
    void socket.join('live');
    ack?.({
      epoch,
      server_version: version,
      last_seq: events.length,
      snapshot: some.map(rowOf),
      sessions: list,
      has_more: wanted.length > some.length,
    });
  });
});

let owed = 0;
setInterval(() => {
  for (owed += (rate * BATCH_MS) / 1000; owed >= 1; owed -= 1) store(invention.next(Date.now()));
  if (unsent.length > 0) stream.to('live').emit('events', { rows: unsent.splice(0) });
}, BATCH_MS);
setInterval(() => {
  if (changed.size > 0)
    stream.to('live').emit('sessions', { changed: [...changed].map((id) => sessions.get(id)) });
  changed.clear();
}, 500);

async function handle(request, response) {
  const url = new URL(request.url, 'http://localhost');
  const { pathname, searchParams } = url;
  if (pathname === '/health') return answer(response, 200, health());
  if (pathname === '/api/events' && request.method === 'POST') return take(request, response);
  if (pathname === '/api/events') return answer(response, 200, query(searchParams));
  const seq = /^\/api\/events\/(\d+)$/.exec(pathname)?.[1];
  if (seq !== undefined) {
    const event = events[Number(seq) - 1];
    return event
      ? answer(response, 200, event)
      : answer(response, 404, { code: 'not_found', message: `there is no event ${seq}` });
  }
  if (pathname.startsWith('/dev/') && request.method === 'POST')
    return control(pathname.slice(5), searchParams, response);
  return file(pathname, response);
}

function query(search) {
  const number = (name) => (search.has(name) ? Number(search.get(name)) : undefined);
  const after = number('after');
  const before = number('before');
  const limit = Math.min(number('limit') ?? 100, 1000);
  const words = (search.get('q') ?? '').toLowerCase().split(/\s+/).filter(Boolean);
  const matching = events.filter(
    (event) =>
      (after === undefined || event.seq > after) &&
      (before === undefined || event.seq < before) &&
      (!search.has('session') || event.session_id === search.get('session')) &&
      (!search.has('kind') || event.kind === search.get('kind')) &&
      (!search.has('error') || event.is_error === (search.get('error') === 'true')) &&
      (words.length === 0 || words.every((word) => JSON.stringify(event).toLowerCase().includes(word))),
  );
  const page = after === undefined ? matching.slice(-limit) : matching.slice(0, limit);
  return { events: page.map(rowOf), has_more: matching.length > page.length };
}

async function take(request, response) {
  let text = '';
  for await (const chunk of request) text += chunk;
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    return answer(response, 400, { code: 'not_json', message: 'the body is not JSON' });
  }
  store(invention.fromHook(body, Date.now()));
  response.writeHead(204).end();
}

function control(verb, search, response) {
  const n = Number(search.get('n') ?? 1000);
  if (verb === 'burst') for (let at = 0; at < n; at += 1) store(invention.next(Date.now()));
  else if (verb === 'rate') rate = n;
  else if (verb === 'gap') {
    const from = events.length + 1;
    for (let at = 0; at < n; at += 1) store(invention.next(Date.now()), { announce: false });
    stream.to('live').emit('gap', { from, to: events.length });
  } else if (verb === 'huge') {
    store(invention.huge(Date.now(), n));
  } else if (verb === 'epoch') {
    epoch = crypto.randomUUID();
    events = [];
    sessions = new Map();
    unsent = [];
    stream.disconnectSockets();
  } else if (verb === 'drop') stream.disconnectSockets(true);
  else if (verb === 'shutdown') {
    stream.emit('server_shutdown', { reason: 'stopped by the user' });
    setTimeout(() => process.exit(0), 100);
  } else if (verb === 'moved') stream.emit('server_restart', { reason: 'restart', url: search.get('url') });
  else if (verb === 'version') {
    version = search.get('v') ?? version;
    stream.disconnectSockets(true);
  } else return answer(response, 404, { code: 'not_found', message: `no such verb: ${verb}` });
  response.writeHead(204).end();
}

function health() {
  return {
    status: 'running',
    service: 'claude-mpm-monitor',
    version,
    port: Number(options.port),
    pid: process.pid,
    uptime: Math.floor((Date.now() - started) / 1000),
    last_seq: events.length,
    store: 'ok',
    spool: { waiting: 0, refused: 0, rejected: 0 },
  };
}

async function file(pathname, response) {
  const path = normalize(join(DIST, pathname === '/' ? 'index.html' : pathname));
  try {
    if (!path.startsWith(DIST)) throw new Error('outside');
    const body = await readFile(path);
    response.writeHead(200, {
      'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
      'content-security-policy': POLICY,
    });
    response.end(body);
  } catch {
    answer(response, 404, { code: 'not_found', message: `nothing is served at ${pathname}` });
  }
}

function answer(response, status, body) {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

server.listen(Number(options.port), '127.0.0.1', () =>
  console.log(`fake monitor on http://127.0.0.1:${options.port}`),
);
