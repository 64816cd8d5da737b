// What a session asks, or what went wrong with it, in one line.
import { toolLabel, withoutTool } from '../names';
import type { Ask, Status } from '../protocol';
import { texts } from './texts';

/** What is asked or what went wrong; nothing when there is nothing to add to the state itself. */
export function statusDetail(status: Status): string | undefined {
  switch (status.state) {
    case 'needs_you':
      return askText(status.ask);
    case 'failed':
      return [status.error, status.message].filter(Boolean).join(' — ');
    case 'rate_limited':
      return status.message;
    case 'closed':
      return status.reason;
    default:
      return undefined;
  }
}

function askText(ask: Ask): string {
  switch (ask.what) {
    case 'permission':
      return [ask.tool === undefined ? undefined : toolLabel(ask.tool), withoutTool(ask.summary, ask.tool)]
        .filter(Boolean)
        .join(': ');
    case 'question':
      return ask.text;
    case 'plan':
      return texts.status.askPlan;
    case 'elicitation':
      return [ask.server, ask.message].filter(Boolean).join(': ');
  }
}
