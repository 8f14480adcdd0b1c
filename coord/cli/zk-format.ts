/** How `drey zk` prints and reads things: ASCII, and JSON whose numbers keep their value. */
import type { Acl, Stat } from '../client/index.ts';

const perms: readonly (readonly [letter: string, bit: number])[] = [['c', 4], ['d', 8], ['r', 1], ['w', 2], ['a', 16]];

/** "digest:ann:…:cdrwa" */
export function formatAcl({ scheme, id, perms: bits }: Acl): string {
  return `${scheme}:${id}:${perms.map(([letter, bit]) => ((bits & bit) === 0 ? '' : letter)).join('')}`;
}

/** Entries separated by commas; the scheme ends at the first colon, the permissions begin after the last. Throws on what is none. */
export function parseAcl(text: string): Acl[] {
  return text.split(',').map((entry) => {
    const first = entry.indexOf(':');
    const last = entry.lastIndexOf(':');
    if (first <= 0 || last === first) throw new Error(`ACL "${entry}" is not scheme:id:perms`);
    let bits = 0;
    for (const letter of entry.slice(last + 1)) {
      const bit = perms.find(([each]) => each === letter)?.[1];
      if (bit === undefined) throw new Error(`ACL "${entry}": permission "${letter}" is none of c, d, r, w, a`);
      bits |= bit;
    }
    return { perms: bits, scheme: entry.slice(0, first), id: entry.slice(first + 1, last) };
  });
}

const strict = new TextDecoder('utf-8', { fatal: true });

/** The data as text; null as "null"; what is not UTF-8, or would disturb the terminal, as hex. */
export function formatData(data: Uint8Array | null): string {
  if (data === null) return 'null';
  const text = textOf(data);
  return text === null ? `0x${Buffer.from(data).toString('hex')}` : text;
}

export function jsonData(data: Uint8Array | null): string | null | { base64: string } {
  if (data === null) return null;
  return textOf(data) ?? { base64: Buffer.from(data).toString('base64') };
}

function textOf(data: Uint8Array): string | null {
  try {
    const text = strict.decode(data);
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if ((unit < 0x20 && unit !== 0x09 && unit !== 0x0a && unit !== 0x0d) || unit === 0x7f) return null;
    }
    return text;
  } catch {
    return null;
  }
}

const hex = (n: number | bigint): string => `0x${n.toString(16)}`;

/** zxids and the owner as hex strings, as everywhere else they are shown. */
export function jsonStat(stat: Stat): Record<string, string | number> {
  return {
    czxid: hex(stat.czxid), ctime: new Date(stat.ctime).toISOString(), mzxid: hex(stat.mzxid), mtime: new Date(stat.mtime).toISOString(), pzxid: hex(stat.pzxid),
    cversion: stat.cversion, version: stat.version, aversion: stat.aversion, ephemeralOwner: hex(stat.ephemeralOwner), dataLength: stat.dataLength, numChildren: stat.numChildren,
  };
}

/** One field a line, as zkCli names them. */
export function statTable(stat: Stat): string {
  const names: Record<string, string> = { czxid: 'cZxid', mzxid: 'mZxid', pzxid: 'pZxid', version: 'dataVersion', aversion: 'aclVersion' };
  return Object.entries(jsonStat(stat)).map(([name, value]) => `${(names[name] ?? name).padEnd(14)} = ${value}`).join('\n');
}
