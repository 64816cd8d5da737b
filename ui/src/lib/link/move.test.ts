// Claims about following the monitor to another address.
import { expect, test } from 'vitest';

import { movedTo } from './move';

const at = (href: string): Location => new URL(href) as unknown as Location;

test('the page goes to the new port and keeps what it shows', () => {
  const here = at('http://127.0.0.1:8765/#/event/42?q=tax');
  expect(movedTo('http://localhost:8770', here)).toBe('http://127.0.0.1:8770/#/event/42?q=tax');
});

test('a host that is another machine is taken as it is', () => {
  expect(movedTo('http://monitor.lan:80/', at('http://localhost:8765/'))).toBe('http://monitor.lan/');
});
