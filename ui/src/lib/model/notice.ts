// What came as a prompt, and is what Claude Code tells itself: that a background task has ended, or what a watch saw.
import type { Row } from '../protocol';

/** The monitor's summaries of those begin so. */
const BEGINS = 'Notice  ';

export function isNotice({ kind, summary }: Pick<Row, 'kind' | 'summary'>): boolean {
  return kind === 'UserPromptSubmit' && summary.startsWith(BEGINS);
}
