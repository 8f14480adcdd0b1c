/**
 * Who may do what: ZooKeeper's ACLs and the authentication schemes world, auth, digest, ip and super.
 *
 * Invariants:
 * - An id of scheme super passes every check; ACLs are never inherited.
 * - A digest's hash leaves the server only towards holders of ADMIN (maskDigests).
 *
 * Source: ZooKeeperServer.checkACL, PrepRequestProcessor.fixupACL, DigestAuthenticationProvider, IPAuthenticationProvider.
 * Left to others: which ids a connection holds (its ip id, and what `auth` requests added), and SHA-1 itself.
 */
import { Perms } from '../wire/codes.ts';
import type { Acl, AuthId } from '../wire/types.ts';

/** world:anyone may do everything. The usual ACL, one object for all. */
export const OPEN_ACL: readonly Acl[] = Object.freeze([Object.freeze({ perms: Perms.ALL, scheme: 'world', id: 'anyone' })]);
/** world:anyone may read. */
export const READ_ACL: readonly Acl[] = Object.freeze([Object.freeze({ perms: Perms.READ, scheme: 'world', id: 'anyone' })]);

export function isOpenAcl(acl: readonly Acl[]): boolean {
  if (acl === OPEN_ACL) return true;
  if (acl.length !== 1) return false;
  const only = acl[0] as Acl;
  return only.perms === Perms.ALL && only.scheme === 'world' && only.id === 'anyone';
}

/** Whether one of `ids` holds one of the bits of `perm`. An empty ACL refuses nothing, as in ZooKeeper. */
export function checkAcl(acl: readonly Acl[], perm: number, ids: readonly AuthId[]): boolean {
  if (acl === OPEN_ACL || acl.length === 0) return true;
  for (let i = 0; i < ids.length; i++) if ((ids[i] as AuthId).scheme === 'super') return true;
  for (let i = 0; i < acl.length; i++) {
    const entry = acl[i] as Acl;
    if ((entry.perms & perm) === 0) continue;
    if (entry.scheme === 'world' && entry.id === 'anyone') return true;
    for (let j = 0; j < ids.length; j++) {
      const id = ids[j] as AuthId;
      if (id.scheme === entry.scheme && matches(entry.scheme, id.id, entry.id)) return true;
    }
  }
  return false;
}

/**
 * The ACL to store for the one that was asked for: duplicates dropped, `auth` replaced by the creator's authenticated ids.
 * null: not acceptable (empty, unknown scheme, malformed id, `auth` without an authenticated id): INVALIDACL.
 */
export function fixupAcl(requested: readonly Acl[] | null, ids: readonly AuthId[]): readonly Acl[] | null {
  if (requested === null || requested.length === 0) return null;
  if (isOpenAcl(requested)) return OPEN_ACL;
  const fixed: Acl[] = [];
  for (const entry of requested) {
    if (entry.scheme === 'world' && entry.id === 'anyone') {
      add(fixed, entry);
    } else if (entry.scheme === 'auth') {
      let authenticated = false;
      for (const id of ids) {
        if (id.scheme === 'ip' || id.scheme === 'world' || id.scheme === 'super') continue;
        authenticated = true;
        add(fixed, { perms: entry.perms, scheme: id.scheme, id: id.id });
      }
      if (!authenticated) return null;
    } else if (isValidId(entry.scheme, entry.id)) {
      add(fixed, entry);
    } else {
      return null;
    }
  }
  return fixed;
}

/**
 * The id that an `auth` request earns, or null when the scheme is unknown (AUTHFAILED). Scheme digest accepts every user and
 * password: there is no user database, an ACL's hash is the check. Who knows the password of `superDigest` ("user:hash") becomes super.
 * `digest` gives base64(SHA-1("user:password")).
 */
export function authenticate(
  scheme: string, auth: Uint8Array | null, remoteIp: string, digest: (userPassword: string) => string, superDigest: string | null,
): AuthId | null {
  if (scheme === 'ip') return { scheme: 'ip', id: remoteIp };
  if (scheme !== 'digest') return null;
  const userPassword = auth === null ? '' : Buffer.from(auth.buffer, auth.byteOffset, auth.length).toString('utf8');
  const colon = userPassword.indexOf(':');
  const id = `${colon < 0 ? userPassword : userPassword.slice(0, colon)}:${digest(userPassword)}`;
  if (superDigest !== null && superDigest !== '' && id === superDigest) return { scheme: 'super', id: '' };
  return { scheme: 'digest', id };
}

/** What getACL shows to those who lack ADMIN: `user:x` in place of every digest. */
export function maskDigests(acl: readonly Acl[]): readonly Acl[] {
  if (!acl.some((entry) => entry.scheme === 'digest')) return acl;
  return acl.map((entry) => (entry.scheme === 'digest' ? { ...entry, id: entry.id.replace(/:.*/s, ':x') } : entry));
}

function add(acl: Acl[], entry: Acl): void {
  if (!acl.some((e) => e.perms === entry.perms && e.scheme === entry.scheme && e.id === entry.id)) acl.push(entry);
}

function isValidId(scheme: string, id: string): boolean {
  if (scheme === 'digest') {
    const parts = id.split(':');
    return parts.length === 2 && parts[1] !== '';
  }
  return scheme === 'ip' && parseCidr(id) !== null;
}

function matches(scheme: string, held: string, asked: string): boolean {
  return scheme === 'ip' ? ipMatches(held, asked) : held === asked;
}

/** Whether an address is in a network written as `address` or `address/bits`; v4, v6 and v4 mapped into v6. */
export function ipMatches(address: string, network: string): boolean {
  const cidr = parseCidr(network);
  const bytes = parseIp(address);
  if (cidr === null || bytes === null || bytes.length !== cidr.bytes.length) return false;
  let bits = cidr.bits;
  for (let i = 0; bits > 0; i++, bits -= 8) {
    const mask = bits >= 8 ? 0xff : (0xff << (8 - bits)) & 0xff;
    if ((((bytes[i] as number) ^ (cidr.bytes[i] as number)) & mask) !== 0) return false;
  }
  return true;
}

function parseCidr(text: string): { bytes: number[]; bits: number } | null {
  const slash = text.indexOf('/');
  const bytes = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (bytes === null) return null;
  if (slash < 0) return { bytes, bits: bytes.length * 8 };
  const bitsText = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(bitsText) || Number(bitsText) > bytes.length * 8) return null;
  return { bytes, bits: Number(bitsText) };
}

function parseIp(text: string): number[] | null {
  const zone = text.indexOf('%');
  const address = zone < 0 ? text : text.slice(0, zone);
  if (!address.includes(':')) return parseIpV4(address);
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return parseIpV4(mapped[1] as string);
  return parseIpV6(address);
}

function parseIpV4(text: string): number[] | null {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)) return null;
  return parts.map(Number);
}

function parseIpV6(text: string): number[] | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = groupsOf(halves[0] as string);
  const tail = halves.length === 2 ? groupsOf(halves[1] as string) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  return [...head, ...Array<number>(missing).fill(0), ...tail].flatMap((group) => [group >> 8, group & 0xff]);
}

function groupsOf(text: string): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (part.includes('.') && i === parts.length - 1) {
      const v4 = parseIpV4(part);
      if (v4 === null) return null;
      groups.push(((v4[0] as number) << 8) | (v4[1] as number), ((v4[2] as number) << 8) | (v4[3] as number));
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return null;
    }
  }
  return groups;
}
