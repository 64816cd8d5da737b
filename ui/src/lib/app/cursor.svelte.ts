// The selected row of a list: moving it with the keyboard, to errors, and bringing it on screen.
import { lowerBound } from '../model/sorted';
import type { Row, Seq } from '../protocol';

export class Cursor {
  #shown: () => readonly Row[];
  #onselect: (seq: Seq) => void;
  #selected = $state<Seq | null>(null);
  #reveals = $state(0);

  constructor(shown: () => readonly Row[], onselect: (seq: Seq) => void) {
    this.#shown = shown;
    this.#onselect = onselect;
  }

  /** Position of the selected row. */
  get selected(): Seq | null {
    return this.#selected;
  }

  /** Changes when the selected row has to be scrolled to. */
  get reveals(): number {
    return this.#reveals;
  }

  select(seq: Seq): void {
    this.#selected = seq;
    this.#onselect(seq);
  }

  reveal(seq: Seq): void {
    this.select(seq);
    this.#reveals += 1;
  }

  /** Selects the row `by` rows further down; the newest when none is selected. */
  move(by: number): void {
    const shown = this.#shown();
    const at = this.#selected === null ? shown.length : lowerBound(shown, this.#selected);
    // From a row that is hidden, its next neighbour is already one further.
    const isHidden = this.#selected !== null && shown[at]?.seq !== this.#selected;
    this.#go(at + (isHidden && by > 0 ? by - 1 : by));
  }

  moveToFirst(): void {
    this.#go(0);
  }

  /** Selects the next failure in that direction. */
  moveToError(direction: 1 | -1): void {
    const shown = this.#shown();
    if (this.#selected === null && direction === 1) return;
    let at = this.#selected === null ? shown.length : lowerBound(shown, this.#selected);
    for (at += direction; at >= 0 && at < shown.length; at += direction) {
      const row = shown[at];
      if (row?.is_error) {
        this.reveal(row.seq);
        return;
      }
    }
  }

  #go(index: number): void {
    const shown = this.#shown();
    const row = shown[Math.min(Math.max(index, 0), shown.length - 1)];
    if (row !== undefined) this.reveal(row.seq);
  }
}
