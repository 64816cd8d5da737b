// Who may import whom: no cycles, components know no domain, one file knows the socket.
import { describe, expect, it } from 'vitest';

const sources = import.meta.glob<string>('./**/*.{ts,svelte}', {
  query: '?raw',
  import: 'default',
  eager: true,
});
const files = Object.keys(sources).filter((file) => !file.endsWith('.test.ts'));

/** What a component may know of `lib`: texts, formats and arithmetic. */
const PLAIN = ['copy', 'format', 'texts', 'window'].map((name) => `./lib/show/${name}.ts`);

/** The imports of a file that exist at run time: types are gone by then. */
function importsOf(file: string): string[] {
  const source = sources[file] ?? '';
  const statements = source.matchAll(/^\s*import\s+(?!type\b)(?:[^'";]*?\bfrom\s+)?'([^']+)'/gm);
  const later = source.matchAll(/\bimport\('([^']+)'\)/g);
  return [...statements, ...later].map(([, target = '']) =>
    target.startsWith('.') ? resolve(file, target) : target,
  );
}

function resolve(from: string, target: string): string {
  const path = new URL(target, `file:///src/${from}`).pathname.replace('/src/', './');
  return [path, `${path}.ts`, `${path}.svelte`, `${path}.svelte.ts`].find((name) => name in sources) ?? path;
}

function cycleFrom(file: string, path: readonly string[] = []): string[] | undefined {
  if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
  for (const target of importsOf(file)) {
    // A recursive component imports itself.
    const cycle = target === file || !(target in sources) ? undefined : cycleFrom(target, [...path, file]);
    if (cycle) return cycle;
  }
  return undefined;
}

it('finds the files and what they import', () => {
  expect(files.length).toBeGreaterThan(40);
  expect(importsOf('./main.ts')).toContain('./App.svelte');
  expect(importsOf('./views/Header.svelte')).toContain('./lib/show/format.ts');
});

it('no file imports itself through others', () => {
  expect(cycleFrom('./main.ts')).toBeUndefined();
});

it('only connection.svelte.ts knows the socket', () => {
  const knowing = files.filter((file) => importsOf(file).includes('socket.io-client'));
  expect(knowing).toEqual(['./lib/link/connection.svelte.ts']);
});

describe('the tiers', () => {
  const tier = (name: string) => files.filter((file) => file.startsWith(`./${name}/`));

  it.each(tier('components'))('%s knows no domain', (file) => {
    const allowed = [...tier('components'), ...PLAIN];
    const local = importsOf(file).filter((target) => target.startsWith('./'));
    expect(local.filter((target) => !allowed.includes(target))).toEqual([]);
  });

  it.each(tier('rows'))('%s knows no view', (file) => {
    expect(importsOf(file).filter((target) => target.startsWith('./views/'))).toEqual([]);
  });

  it.each(tier('lib'))('%s draws nothing', (file) => {
    expect(importsOf(file).filter((target) => target.endsWith('.svelte'))).toEqual([]);
  });
});
