// Long work in short pieces, so that keys, scrolling and frames come through in between.

/** One piece takes about this long at most. */
const PIECE_MS = 8;
/** Steps between two looks at the clock. */
const STEPS = 2000;

/** Does `work` for 0 up to `count`; whether it came to the end before it was stopped. */
export async function inSlices(
  count: number,
  work: (index: number) => void,
  signal: AbortSignal,
): Promise<boolean> {
  let start = performance.now();
  for (let index = 0; index < count; index += 1) {
    work(index);
    if (index % STEPS === STEPS - 1 && performance.now() - start > PIECE_MS) {
      await pause();
      if (signal.aborted) return false;
      start = performance.now();
    }
  }
  return !signal.aborted;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
