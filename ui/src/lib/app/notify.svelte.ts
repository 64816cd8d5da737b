// Tells the reader outside the page that a session needs them, failed or is done; only while the page is not in
// sight, and only when they asked for it.
import { baseName, shortId } from '../names';
import type { Session, SessionId, Status } from '../protocol';
import { statusDetail } from '../show/statustext';
import { texts } from '../show/texts';
import { formatRoute, HOME } from './route';

const KEY = 'notify';

export type Permission = 'missing' | 'blocked' | 'off' | 'on';

export class Notifier {
  #wanted = $state(stored());
  #granted = $state(typeof Notification === 'undefined' ? null : Notification.permission);
  #known = new Map<SessionId, Status['state']>();

  get permission(): Permission {
    if (this.#granted === null) return 'missing';
    if (this.#granted === 'denied') return 'blocked';
    return this.#wanted && this.#granted === 'granted' ? 'on' : 'off';
  }

  /** Switches on or off; the browser may ask the reader. */
  async want(wanted: boolean): Promise<void> {
    if (wanted && this.#granted === 'default') this.#granted = await Notification.requestPermission();
    this.#wanted = wanted && this.#granted === 'granted';
    try {
      localStorage.setItem(KEY, this.#wanted ? '1' : '0');
    } catch {
      // Storage may be blocked; the choice then lasts as long as the page.
    }
  }

  /** Takes the sessions as they are now; tells what changed since the last time. */
  look(sessions: readonly Session[]): void {
    for (const session of sessions) {
      const before = this.#known.get(session.session_id);
      const { state } = session.status;
      this.#known.set(session.session_id, state);
      // What was so when the page was opened is no news.
      if (before === undefined || before === state || document.visibilityState === 'visible') continue;
      const title = titleOf(session);
      if (title !== undefined) this.#tell(session, title);
    }
  }

  test(): void {
    if (this.permission === 'on') new Notification(texts.product, { body: texts.settings.notifyTestText });
  }

  #tell(session: Session, title: string): void {
    if (this.permission !== 'on') return;
    // One per session: the newest takes the place of the one before.
    const note = new Notification(title, {
      body: statusDetail(session.status) ?? session.title ?? session.last_summary,
      tag: session.session_id,
    });
    note.onclick = () => {
      window.focus();
      location.hash = formatRoute({ ...HOME, view: 'session', session: session.session_id });
      note.close();
    };
  }
}

function titleOf({ status, project, session_id }: Session): string | undefined {
  const name = `${project === undefined ? '' : baseName(project)} ${shortId(session_id)}`.trim();
  switch (status.state) {
    case 'needs_you':
      return texts.notify.needsYou(name);
    case 'failed':
      return texts.notify.failed(name);
    case 'rate_limited':
      return texts.notify.rateLimited(name);
    case 'done':
      return texts.notify.done(name);
    default:
      return undefined;
  }
}

function stored(): boolean {
  try {
    return localStorage.getItem(KEY) === '1';
  } catch {
    return false;
  }
}
