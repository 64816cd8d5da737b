import { expect, it } from 'vitest';

import { baseName, toolLabel } from './names';

it('names are short, and those of tools as the summaries spell them', () => {
  expect(baseName('/home/dev/shop/')).toBe('shop');
  expect(baseName('C:\\code\\shop')).toBe('shop');
  expect(toolLabel('mcp__github__search_code')).toBe('github search_code');
  expect(toolLabel('Bash')).toBe('Bash');
});
