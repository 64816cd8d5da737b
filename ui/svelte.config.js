// Compiler options: runes only, so that an old-style component is an error.
export default { compilerOptions: { runes: true } };
