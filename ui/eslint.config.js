// Lint rules: the recommended sets, and only one file may know the socket. src/imports.test.ts has the rules about
// who may import whom.
import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';

import svelteConfig from './svelte.config.js';

export default ts.config(
  { ignores: ['dist/', 'src/lib/protocol.ts'] },
  js.configs.recommended,
  ...ts.configs.strict,
  ...svelte.configs.recommended,
  {
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [
            { name: 'socket.io-client', message: 'Only src/lib/link/connection.svelte.ts knows the socket.' },
          ],
        },
      ],
      'svelte/no-at-html-tags': 'error',
      // State is replaced whole (`$state.raw`), so a plain Map inside it is what is meant.
      'svelte/prefer-svelte-reactivity': 'off',
      eqeqeq: 'error',
    },
  },
  { files: ['src/lib/link/connection.svelte.ts'], rules: { 'no-restricted-imports': 'off' } },
  { files: ['src/**'], languageOptions: { globals: globals.browser } },
  { files: ['public/**'], languageOptions: { globals: globals.browser, sourceType: 'script' } },
  { files: ['dev/**', '*.config.*'], languageOptions: { globals: globals.node } },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser, extraFileExtensions: ['.svelte'], svelteConfig } },
  },
);
