// Who may import whom: no cycles, rooms in one direction, components know no domain, one file knows the socket. Types
// count like everything else: whoever knows the shape of a thing knows the thing. Tests may reach anywhere.
import { describe, expect, it } from 'vitest';

const sources = import.meta.glob<string>('./**/*.{ts,svelte}', {
  query: '?raw',
  import: 'default',
  eager: true,
});
const files = Object.keys(sources).filter((file) => !file.endsWith('.test.ts'));

/** Which other rooms each room of `lib` may know. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  link: [],
  query: [],
  show: [],
  model: ['link', 'query'],
  app: ['link', 'query', 'show', 'model'],
};

/** What lies below the rooms: every file may know it, and it knows nothing above itself. */
const GROUND = ['./lib/names.ts', './lib/protocol.ts'];

/** Makers of rows: for tests only. */
const TESTING = './lib/testing.ts';

/** What a component may know of `lib`: texts, formats and arithmetic. */
const PLAIN = ['copy', 'format', 'texts', 'window'].map((name) => `./lib/show/${name}.ts`);

/** What a text of a source imports, as written. */
function namedIn(source: string): string[] {
  const statements = source.matchAll(/^\s*(?:import|export)\s+(?:[^'";]*?\bfrom\s+)?'([^']+)'/gm);
  const later = source.matchAll(/\bimport\('([^']+)'\)/g);
  return [...statements, ...later].map(([, target = '']) => target);
}

/** The imports of a file: packages by their name, our own by their path. */
function importsOf(file: string): string[] {
  return namedIn(sources[file] ?? '').map((name) => (name.startsWith('.') ? resolve(file, name) : name));
}

function localImportsOf(file: string): string[] {
  return importsOf(file).filter((target) => target.startsWith('./') && !target.endsWith('.css'));
}

function resolve(from: string, target: string): string {
  const path = new URL(target, `file:///src/${from}`).pathname.replace('/src/', './');
  return [path, `${path}.ts`, `${path}.svelte`, `${path}.svelte.ts`].find((name) => name in sources) ?? path;
}

/** A way from the file back to a file on it. `clean` collects those from which there is none. */
function cycleFrom(
  file: string,
  next: (file: string) => readonly string[],
  clean: Set<string>,
  path: readonly string[] = [],
): string[] | undefined {
  if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
  if (clean.has(file)) return undefined;
  for (const target of next(file)) {
    // A recursive component imports itself.
    const cycle = target === file ? undefined : cycleFrom(target, next, clean, [...path, file]);
    if (cycle) return cycle;
  }
  clean.add(file);
  return undefined;
}

/** The room in which a file lies, if it is one. */
function roomOf(file: string): string | undefined {
  return /^\.\/lib\/([^/]+)\//.exec(file)?.[1];
}

/** Whether the file, one of `lib`, may know the other. */
function mayKnow(file: string, target: string): boolean {
  if (GROUND.includes(target)) return true;
  const [from, to] = [roomOf(file), roomOf(target)];
  return from !== undefined && to !== undefined && (from === to || (ROOMS[from] ?? []).includes(to));
}

describe('the files', () => {
  it('are found, with what they import', () => {
    expect(files.length).toBeGreaterThan(40);
    expect(importsOf('./main.ts')).toContain('./App.svelte');
    expect(importsOf('./App.svelte')).toContain('./views/history/History.svelte');
    expect(importsOf('./views/Header.svelte')).toContain('./lib/show/format.ts');
    expect(importsOf('./lib/app/context.ts')).toContain('./lib/app/dashboard.svelte.ts');
  });

  it.each([
    ["import './a';", ['./a']],
    ["import a, { b } from './a';", ['./a']],
    ["import {\n  a,\n  type B,\n} from './a';\nimport type { C } from './c';", ['./a', './c']],
    ["export * from './a';\nexport type { B } from './b';", ['./a', './b']],
    ["<script>\n  import A from './A.svelte';\n</script>", ['./A.svelte']],
    ["const a = await import('./a');\nlet b: import('./b').B;", ['./a', './b']],
    ["export const a = ['b', 'c'];\nexport function from() {\n  return 'd';\n}", []],
  ])('name in %j what they import', (source, named) => {
    expect(namedIn(source)).toEqual(named);
  });

  it.each(files)('%s imports only files that are there', (file) => {
    expect(localImportsOf(file).filter((target) => !(target in sources))).toEqual([]);
  });
});

it('no file imports itself through others', () => {
  const clean = new Set<string>();
  for (const file of files) expect(cycleFrom(file, localImportsOf, clean)).toBeUndefined();
});

it('a cycle is found wherever one comes into it', () => {
  const next = (file: string) => ({ a: ['b', 'd'], b: ['b', 'd'], c: ['a', 'e'], e: ['c'] })[file] ?? [];
  expect(cycleFrom('a', next, new Set())).toBeUndefined();
  expect(cycleFrom('c', next, new Set())).toEqual(['c', 'e', 'c']);
});

it('only connection.svelte.ts knows the socket', () => {
  const knowing = files.filter((file) => importsOf(file).includes('socket.io-client'));
  expect(knowing).toEqual(['./lib/link/connection.svelte.ts']);
});

it('what is made for tests reaches no page', () => {
  expect(files.filter((file) => importsOf(file).includes(TESTING))).toEqual([]);
});

describe('the tiers', () => {
  const tier = (name: string) => files.filter((file) => file.startsWith(`./${name}/`));

  it.each(tier('components'))('%s knows no domain', (file) => {
    const allowed = [...tier('components'), ...PLAIN];
    expect(localImportsOf(file).filter((target) => !allowed.includes(target))).toEqual([]);
  });

  it.each(tier('rows'))('%s knows no view', (file) => {
    expect(importsOf(file).filter((target) => target.startsWith('./views/'))).toEqual([]);
  });
});

describe('the rooms of lib', () => {
  const lib = files.filter((file) => file.startsWith('./lib/'));

  it('hold every file but those below them', () => {
    const below = lib.filter((file) => roomOf(file) === undefined);
    expect(below.sort()).toEqual([...GROUND, TESTING].sort());
    expect(new Set(lib.map(roomOf).filter((room) => room !== undefined))).toEqual(
      new Set(Object.keys(ROOMS)),
    );
  });

  it('lead in one direction', () => {
    // Each room knows only rooms named before it.
    const names = Object.keys(ROOMS);
    for (const [place, name] of names.entries()) {
      expect(ROOMS[name]?.filter((known) => !names.slice(0, place).includes(known))).toEqual([]);
    }
  });

  it.each([
    ['./lib/model/events.svelte.ts', './lib/link/api.ts', true],
    ['./lib/link/connection.svelte.ts', './lib/model/events.svelte.ts', false],
    ['./lib/model/timeline.ts', './lib/show/texts.ts', false],
    ['./lib/app/route.ts', './views/Rail.svelte', false],
    ['./lib/show/format.ts', './lib/protocol.ts', true],
    ['./lib/names.ts', './lib/show/format.ts', false],
  ])('%s may know %s: %s', (file, target, may) => {
    expect(mayKnow(file, target)).toBe(may);
  });

  it.each(lib)('%s knows what its room may know', (file) => {
    expect(localImportsOf(file).filter((target) => !mayKnow(file, target))).toEqual([]);
  });
});
