import { describe, expect, it } from 'vitest';

import { Measurements } from './prometheus';

const measured = new Measurements(`# HELP stored Events stored.
# TYPE stored counter
stored 12
memory_bytes 4.1e+07
append_seconds_sum 0.5
append_seconds_count 4
append_seconds_bucket{le="0.001"} 1
append_seconds_bucket{le="0.01"} 3
append_seconds_bucket{le="+Inf"} 4
never_seconds_count 0
build_info{version="0.1.0"} 1
`);

describe('measurements', () => {
  it('have single values', () => {
    expect(measured.value('stored')).toBe(12);
    expect(measured.value('memory_bytes')).toBe(41_000_000);
    expect(measured.value('unknown')).toBeUndefined();
  });

  it.each([
    [0.25, 0.001],
    [0.5, 0.01],
    [0.75, 0.01],
    [0.95, Infinity],
  ])('say within which bound a share of %d lies', (share, bound) => {
    expect(measured.within('append_seconds', share)).toBe(bound);
  });

  it('say nothing of what never happened', () => {
    expect(measured.within('never_seconds', 0.5)).toBeUndefined();
    expect(measured.within('unknown', 0.5)).toBeUndefined();
  });
});
