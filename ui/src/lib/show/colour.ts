// One stable mark per session: a colour and a shape, as indexes into the tokens `[data-hue]` and `[data-shape]`.

/** How many session colours the tokens define. */
export const HUES = 12;
/** How many shapes of the mark there are, so that two sessions of one colour still differ. */
export const SHAPES = 3;

/** How a session is marked. */
export interface Mark {
  hue: number;
  shape: number;
}

/** The same id has the same mark on every page and every day (FNV-1a). */
export function markOf(id: string): Mark {
  let hash = 0x811c9dc5;
  for (let at = 0; at < id.length; at += 1) {
    hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
  }
  const mixed = mix(hash);
  return { hue: mixed % HUES, shape: Math.floor(mixed / HUES) % SHAPES };
}

/** Spreads every bit over all others (the finish of MurmurHash3); FNV alone leaves near ids near. */
function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
