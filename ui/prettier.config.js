// One way to lay code out, so that nobody has to discuss it.
export default {
  printWidth: 110,
  singleQuote: true,
  plugins: ['prettier-plugin-svelte'],
  overrides: [{ files: '*.svelte', options: { parser: 'svelte' } }],
};
