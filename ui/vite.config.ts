// Build, development proxy and tests of the dashboard.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

/** Where a development server finds the monitor: on its usual port. */
const monitor = 'http://127.0.0.1:8765';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    // Data URIs would need an exception in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Served with the dashboard, and part of what packages bring along: most authors ask for that.
    license: { fileName: 'third-party-licenses.txt' },
  },
  server: {
    proxy: {
      '/api': monitor,
      '/health': monitor,
      '/socket.io': { target: monitor, ws: true },
    },
  },
  test: {
    include: ['src/**/*.test.ts'],
    environment: 'node',
  },
});
