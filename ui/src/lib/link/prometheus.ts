// Prometheus' text format, as far as the page reads it: single values and histograms.

/** Finite bounds in ascending order, with how many values were at most that. */
type Buckets = readonly (readonly [bound: number, count: number])[];

/** What the monitor measures of itself. */
export class Measurements {
  #values = new Map<string, number>();
  #buckets = new Map<string, [number, number][]>();

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const found = /^(\w+?)(?:_bucket\{le="([^"]+)"\})? ([-+.\deE]+)$/.exec(line);
      if (found === null) continue;
      const [, name = '', bound, value = ''] = found;
      if (bound === undefined) this.#values.set(name, Number(value));
      else if (bound !== '+Inf') this.#bucketsOf(name).push([Number(bound), Number(value)]);
    }
  }

  /** A single value; nothing when it is not measured. */
  value(name: string): number | undefined {
    return this.#values.get(name);
  }

  /**
   * The least bound that this share of the values keeps to; nothing when nothing was measured. Infinite when the
   * share is not reached within the bounds.
   */
  within(name: string, share: number): number | undefined {
    const total = this.#values.get(`${name}_count`) ?? 0;
    if (total === 0) return undefined;
    const buckets: Buckets = this.#bucketsOf(name);
    return buckets.find(([, count]) => count >= share * total)?.[0] ?? Infinity;
  }

  #bucketsOf(name: string): [number, number][] {
    let buckets = this.#buckets.get(name);
    if (buckets === undefined) this.#buckets.set(name, (buckets = []));
    return buckets;
  }
}
