// One stable mark per session: a colour and a shape, as indexes into the tokens `[data-hue]` and `[data-shape]`.

/** How many session colours the tokens define. */
export const HUES = 12;
/** How many shapes of the mark there are, so that two sessions of one colour still differ. */
export const SHAPES = 3;

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
  // The low bits of this hash are poorly mixed.
  hash ^= hash >>> 15;
  const mixed = hash >>> 0;
  return { hue: mixed % HUES, shape: Math.floor(mixed / HUES) % SHAPES };
}
