// Which key does what; the handler and the help read the same table.
import { texts } from './texts';

export type Command =
  | 'filter'
  | 'down'
  | 'up'
  | 'open'
  | 'back'
  | 'nextError'
  | 'previousError'
  | 'togglePause'
  | 'follow'
  | 'first'
  | 'help';

export interface Binding {
  command: Command;
  /** Values of `KeyboardEvent.key`. */
  keys: readonly string[];
  /** The keys as written on them. */
  caps: readonly string[];
  text: string;
}

export const BINDINGS: readonly Binding[] = [
  { command: 'down', keys: ['j', 'ArrowDown'], caps: ['j', '↓'], text: texts.keys.down },
  { command: 'up', keys: ['k', 'ArrowUp'], caps: ['k', '↑'], text: texts.keys.up },
  { command: 'open', keys: ['Enter'], caps: ['Enter'], text: texts.keys.open },
  { command: 'back', keys: ['Escape'], caps: ['Esc'], text: texts.keys.back },
  { command: 'nextError', keys: ['e'], caps: ['e'], text: texts.keys.nextError },
  { command: 'previousError', keys: ['E'], caps: ['E'], text: texts.keys.previousError },
  { command: 'togglePause', keys: ['p', ' '], caps: ['p', 'Space'], text: texts.keys.togglePause },
  { command: 'follow', keys: ['G', 'End'], caps: ['G', 'End'], text: texts.keys.follow },
  { command: 'first', keys: ['Home'], caps: ['Home'], text: texts.keys.first },
  { command: 'filter', keys: ['/'], caps: ['/'], text: texts.keys.filter },
  { command: 'help', keys: ['?'], caps: ['?'], text: texts.keys.help },
];

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
