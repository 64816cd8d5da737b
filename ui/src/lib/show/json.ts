// Laying out the beginning of a JSON text that is too large to be parsed.

const INDENT = '  ';
/** Nesting beyond this is not indented further. */
const DEPTH_MAX = 40;

/** The text with line breaks and indentation; it may end anywhere, even inside a string. */
export function prettyPrefix(text: string): string {
  let out = '';
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] as string;
    if (char === '"') {
      const end = stringEnd(text, at);
      out += text.slice(at, end);
      at = end - 1;
    } else if (char === '{' || char === '[') {
      const close = char === '{' ? '}' : ']';
      if (text[at + 1] === close) {
        out += char + close;
        at += 1;
      } else {
        depth += 1;
        out += char + newLine(depth);
      }
    } else if (char === '}' || char === ']') {
      depth -= 1;
      out += newLine(depth) + char;
    } else if (char === ',') out += char + newLine(depth);
    else if (char === ':') out += ': ';
    else if (!/\s/.test(char)) out += char;
  }
  return out;
}

function newLine(depth: number): string {
  return `\n${INDENT.repeat(Math.max(0, Math.min(depth, DEPTH_MAX)))}`;
}

/** The position after the string that begins at `start`. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}
