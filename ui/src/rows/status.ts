// Status → look: what a session is doing, as glyph, tone and words.
import type { IconName } from '../components/icons';
import { toolLabel } from '../lib/names';
import type { Status } from '../lib/protocol';
import { texts } from '../lib/show/texts';

/** Colour families of states; `[data-status]` in base.css gives each its colour. */
export type StatusTone = 'work' | 'need' | 'good' | 'seen' | 'watch' | 'bad' | 'limit' | 'rest';

export interface StatusLook {
  tone: StatusTone;
  icon: IconName;
  label: string;
  /** It is at it now. */
  isActive: boolean;
}

const say = texts.status;

export function statusLook(status: Status): StatusLook {
  const look = (tone: StatusTone, icon: IconName, label: string, isActive = false) => ({
    tone,
    icon,
    label,
    isActive,
  });
  switch (status.state) {
    case 'needs_you':
      return look('need', 'hand', say.needsYou(status.open));
    case 'working':
      return look('work', 'play', status.tool ? say.running(toolLabel(status.tool)) : say.thinking, true);
    case 'compacting':
      return look('work', 'compress', say.compacting, true);
    case 'done':
      return status.unread ? look('good', 'check', say.done) : look('seen', 'check', say.seen);
    case 'background':
      return look('watch', 'agent', say.background(status.tasks), true);
    case 'scheduled':
      return look('watch', 'clock', say.scheduled(status.schedules));
    case 'failed':
      return look('bad', 'cross', say.failed);
    case 'rate_limited':
      return look('limit', 'gauge', say.rateLimited);
    case 'interrupted':
      return look('rest', 'pause', say.interrupted);
    case 'idle':
      return look('rest', 'moon', say.idle);
    case 'closed':
      return look('rest', 'stop', say.closed);
    case 'lost':
      return look('rest', 'denied', say.lost);
  }
}
