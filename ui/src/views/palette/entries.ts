// What the palette offers for what was typed.
import type { IconName } from '../../components/icons';
import type { Dashboard } from '../../lib/app/dashboard.svelte';
import type { Command } from '../../lib/app/keyboard';
import { THEMES } from '../../lib/app/theme.svelte';
import { instance } from '../../lib/link/instance';
import { baseName, shortId } from '../../lib/names';
import { LANGUAGES, speak } from '../../lib/show/language';
import { statusDetail } from '../../lib/show/statustext';
import { texts } from '../../lib/show/texts';
import { statusLook } from '../../rows/status';

export interface Entry {
  id: string;
  icon: IconName;
  label: string;
  detail?: string | undefined;
  /** The command that does the same, whose key is shown. */
  command?: Command;
  run: () => void;
}

const say = texts.palette;

/** As long as the tray offers. */
const PAUSE_MINUTES = 30;

export function entriesFor(dashboard: Dashboard, text: string): Entry[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const named = [...views(dashboard), ...sessions(dashboard), ...actions(dashboard), ...saved(dashboard)];
  const found = named.filter((entry) => {
    const all = `${entry.label} ${entry.detail ?? ''} ${entry.id}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
  return [...byNumber(dashboard, text), ...found, ...search(dashboard, text)];
}

function views(dashboard: Dashboard): Entry[] {
  const places = [
    ['overview', 'grid'],
    ['stream', 'list'],
    ['history', 'search'],
    ['activity', 'agent'],
    ['metrics', 'gauge'],
    ['connections', 'link'],
    ['settings', 'gear'],
  ] as const;
  return places.map(([view, icon]) => ({
    id: `view ${view}`,
    icon,
    label: say.goTo(texts.views[view]),
    command: view,
    run: () => dashboard.go(view),
  }));
}

function sessions(dashboard: Dashboard): Entry[] {
  return dashboard.live.sessions.byNeed.map((session) => {
    const look = statusLook(session.status);
    const name = session.project === undefined ? '' : baseName(session.project);
    return {
      id: `session ${session.session_id}`,
      icon: look.icon,
      label: `${name} ${shortId(session.session_id)}`.trim(),
      detail: [look.label, statusDetail(session.status), session.title].filter(Boolean).join(' · '),
      run: () => dashboard.goToSession(session.session_id),
    };
  });
}

function actions(dashboard: Dashboard): Entry[] {
  const commands: Entry[] = (
    [
      ['togglePause', 'pause', texts.keys.togglePause],
      ['follow', 'arrowDown', texts.keys.follow],
      ['help', 'keyboard', texts.help.title],
    ] as const
  )
    .filter(([command]) => dashboard.commands.has(command))
    .map(([command, icon, label]) => ({
      id: command,
      icon,
      label,
      command,
      run: () => void dashboard.commands.run(command),
    }));
  const themes = THEMES.map((name): Entry => ({
    id: `theme ${name}`,
    icon: 'sun',
    label: texts.theme[name],
    run: () => dashboard.theme.set(name),
  }));
  const languages = LANGUAGES.map((name): Entry => ({
    id: `language ${name}`,
    icon: 'message',
    label: texts.languages[name],
    detail: texts.settings.language,
    run: () => speak(name),
  }));
  return [...commands, ...capture(dashboard), ...themes, ...languages];
}

/** Orders to another monitor are not passed on. */
function capture({ vitals }: Dashboard): Entry[] {
  if (instance !== null) return [];
  const order = (minutes: number | null, label: string): Entry => ({
    id: `capture ${minutes ?? ''}`,
    icon: minutes === null ? 'play' : 'pause',
    label,
    detail: minutes === null ? undefined : texts.capture.pauseDetail,
    // Should it fail, the header goes on saying how it is.
    run: () => void vitals.pauseFor(minutes).catch(() => undefined),
  });
  return vitals.pause === null
    ? [order(PAUSE_MINUTES, texts.capture.pauseFor(PAUSE_MINUTES))]
    : [order(null, texts.capture.resumeNow)];
}

function saved(dashboard: Dashboard): Entry[] {
  return dashboard.saved.list.map(({ name, text }) => ({
    id: `saved ${text}`,
    icon: 'star',
    label: name,
    detail: name === text ? say.savedQuery : text,
    run: () => {
      dashboard.setQuery(text);
      dashboard.go('stream');
    },
  }));
}

function byNumber(dashboard: Dashboard, text: string): Entry[] {
  const seq = Number(/^#?(\d{1,15})$/.exec(text.trim())?.[1] ?? 0);
  if (seq === 0) return [];
  return [{ id: `event ${seq}`, icon: 'dot', label: say.openEvent(seq), run: () => dashboard.open(seq) }];
}

function search(dashboard: Dashboard, text: string): Entry[] {
  if (text.trim() === '') return [];
  const go = (view: 'stream' | 'history') => () => {
    dashboard.setQuery(text.trim());
    dashboard.go(view);
  };
  return [
    { id: 'filter', icon: 'list', label: say.filterStream, detail: text, run: go('stream') },
    { id: 'search', icon: 'search', label: say.searchHistory, detail: text, run: go('history') },
  ];
}
