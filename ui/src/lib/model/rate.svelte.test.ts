import { expect, it } from 'vitest';

import { Rate } from './rate.svelte';

it('the rate is that of the last five whole seconds', () => {
  const rate = new Rate();
  for (const events of [100, 10, 10, 10, 10, 10]) {
    rate.add(events);
    rate.tick();
  }
  rate.add(7);
  expect(rate.perSecond).toBe(10);
  expect(rate.counts).toHaveLength(60);
});
