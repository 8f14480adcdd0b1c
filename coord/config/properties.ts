/** Java's property files, as java.util.Properties.load reads them, with the line of each key kept for messages. */

export interface Property {
  readonly key: string;
  readonly value: string;
  /** Counted from 1; where the key stands, when the value goes on over several lines. */
  readonly line: number;
}

/** In the order of the file, duplicates included. Values are trimmed, as ZooKeeper does. */
export function parseProperties(text: string): Property[] {
  const out: Property[] = [];
  const physical = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  for (let i = 0; i < physical.length; i++) {
    const line = i + 1;
    let logical = (physical[i] as string).trimStart();
    if (logical === '' || logical.startsWith('#') || logical.startsWith('!')) continue;
    while (endsInBackslash(logical) && i + 1 < physical.length) logical = logical.slice(0, -1) + (physical[++i] as string).trimStart();
    const [key, value] = split(logical);
    out.push({ key: unescape(key), value: unescape(value).trim(), line });
  }
  return out;
}

function endsInBackslash(line: string): boolean {
  return (/\\*$/.exec(line) as RegExpExecArray)[0].length % 2 === 1;
}

/** The key ends at the first '=', ':' or white space that no backslash precedes. */
function split(line: string): [string, string] {
  const match = /^((?:\\.|[^\\=:\s])*)\s*[=:]?\s*(.*)$/s.exec(line);
  return match === null ? [line, ''] : [match[1] as string, match[2] as string];
}

function unescape(text: string): string {
  return text.replace(/\\u([0-9a-fA-F]{4})|\\(.)/gs, (_all, hex: string | undefined, char: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    return { t: '\t', n: '\n', r: '\r', f: '\f' }[char] ?? char;
  });
}
