// Which key does what; the handler and the help read the same table.
import { texts } from '../show/texts';

export type Command =
  | 'palette'
  | 'help'
  | 'theme'
  | 'overview'
  | 'stream'
  | 'history'
  | 'activity'
  | 'metrics'
  | 'connections'
  | 'settings'
  | 'filter'
  | 'down'
  | 'up'
  | 'open'
  | 'back'
  | 'nextError'
  | 'previousError'
  | 'nextSession'
  | 'previousSession'
  | 'session'
  | 'togglePause'
  | 'follow'
  | 'first'
  | 'zoomIn'
  | 'zoomOut'
  | 'panLeft'
  | 'panRight'
  | 'fit';

export type Group = 'views' | 'list' | 'waterfall' | 'page';

export interface Binding {
  command: Command;
  group: Group;
  /** Values of `KeyboardEvent.key`. */
  keys: readonly string[];
  /** The keys as written on them. */
  caps: readonly string[];
  text: string;
}

const say = texts.keys;
const view = (key: string, command: Command, text: string): Binding => ({
  command,
  group: 'views',
  keys: [key],
  caps: [key],
  text,
});

export const BINDINGS: readonly Binding[] = [
  { command: 'down', group: 'list', keys: ['j', 'ArrowDown'], caps: ['j', '↓'], text: say.down },
  { command: 'up', group: 'list', keys: ['k', 'ArrowUp'], caps: ['k', '↑'], text: say.up },
  { command: 'open', group: 'list', keys: ['Enter'], caps: ['Enter'], text: say.open },
  { command: 'back', group: 'list', keys: ['Escape'], caps: ['Esc'], text: say.back },
  { command: 'nextError', group: 'list', keys: ['e'], caps: ['e'], text: say.nextError },
  { command: 'previousError', group: 'list', keys: ['E'], caps: ['E'], text: say.previousError },
  { command: 'togglePause', group: 'list', keys: ['p', ' '], caps: ['p', 'Space'], text: say.togglePause },
  { command: 'follow', group: 'list', keys: ['G', 'End'], caps: ['G', 'End'], text: say.follow },
  { command: 'first', group: 'list', keys: ['Home'], caps: ['Home'], text: say.first },
  { command: 'session', group: 'list', keys: ['t'], caps: ['t'], text: say.session },
  { command: 'nextSession', group: 'list', keys: [']'], caps: [']'], text: say.nextSession },
  { command: 'previousSession', group: 'list', keys: ['['], caps: ['['], text: say.previousSession },
  { command: 'zoomIn', group: 'waterfall', keys: ['w', '+', '='], caps: ['w', '+'], text: say.zoomIn },
  { command: 'zoomOut', group: 'waterfall', keys: ['s', '-'], caps: ['s', '−'], text: say.zoomOut },
  { command: 'panLeft', group: 'waterfall', keys: ['a', 'ArrowLeft'], caps: ['a', '←'], text: say.panLeft },
  {
    command: 'panRight',
    group: 'waterfall',
    keys: ['d', 'ArrowRight'],
    caps: ['d', '→'],
    text: say.panRight,
  },
  { command: 'fit', group: 'waterfall', keys: ['0'], caps: ['0'], text: say.fit },
  view('1', 'overview', texts.views.overview),
  view('2', 'stream', texts.views.stream),
  view('3', 'history', texts.views.history),
  view('4', 'activity', texts.views.activity),
  view('5', 'metrics', texts.views.metrics),
  view('6', 'connections', texts.views.connections),
  view('7', 'settings', texts.views.settings),
  { command: 'filter', group: 'page', keys: ['/', 'f'], caps: ['/', 'f'], text: say.filter },
  { command: 'theme', group: 'page', keys: ['T'], caps: ['T'], text: say.theme },
  { command: 'help', group: 'page', keys: ['?'], caps: ['?'], text: say.help },
];

/** Ctrl-K, or Cmd-K on a Mac: also while typing. */
export function isPaletteKey(event: KeyboardEvent): boolean {
  return (
    (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === 'k'
  );
}

/** What the key asks for here, if anything: typing, and keys that a focused control uses itself, are left alone. */
export function commandOf(event: KeyboardEvent): Command | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return undefined;
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest('input, textarea, select, [contenteditable], dialog')) return undefined;
  const pressesControl = event.key === 'Enter' || event.key === ' ';
  if (pressesControl && target?.closest('button, a, summary, [role="option"]')) return undefined;
  const scrolls = event.key.startsWith('Arrow') || event.key === 'Home' || event.key === 'End';
  if (scrolls && target?.closest('[data-own-keys]')) return undefined;
  return BINDINGS.find(({ keys }) => keys.includes(event.key))?.command;
}
