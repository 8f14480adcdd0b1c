/**
 * ZooKeeper's configuration file and myid: text in, typed configuration out.
 *
 * A value that is wrong, and a setting whose meaning this server cannot keep although something rests on it (TLS, observers, hierarchical
 * quorums), is refused with file, line and reason: DreyError COORD_CONFIG. A key without a meaning here is accepted with one warning.
 * Source: QuorumPeerConfig.java, QuorumPeer.QuorumServer.
 */
import { DreyError } from '../base/errors.ts';
import { DEFAULT_WHITELIST, parseWhitelist } from '../wire/four-letter-words.ts';
import { parseProperties, type Property } from './properties.ts';

export interface ServerLine {
  readonly sid: number;
  readonly host: string;
  /** Carries all traffic between servers. */
  readonly peerPort: number;
  /** Parsed, and not used: one port does for both. */
  readonly electionPort: number | null;
  readonly clientAddress: string | null;
  readonly clientPort: number | null;
  readonly line: number;
}

export interface ZooCfg {
  readonly file: string;
  readonly tickMs: number;
  readonly initLimitTicks: number;
  readonly syncLimitTicks: number;
  readonly dataDir: string;
  readonly dataLogDir: string;
  /** null: it stands in the server's line only. */
  readonly clientPort: number | null;
  /** null: all addresses. */
  readonly clientPortAddress: string | null;
  /** Connections from one address; 0 = any number. */
  readonly maxClientCnxns: number;
  readonly minSessionTimeoutMs: number;
  readonly maxSessionTimeoutMs: number;
  readonly juteMaxBuffer: number;
  /** null: admin.enableServer=false. */
  readonly admin: { readonly address: string | null; readonly port: number | null } | null;
  readonly whitelist: ReadonlySet<string>;
  /** user:base64(sha1(user:password)); null = no super user. */
  readonly superDigest: string | null;
  /** Peers are listened for on all addresses instead of the one in the server's line. */
  readonly quorumListenOnAllIPs: boolean;
  /** By sid; empty = standalone. */
  readonly servers: readonly ServerLine[];
  readonly warnings: readonly string[];
}

/** A configuration as one server sees it. */
export interface ServerSettings extends ZooCfg {
  /** 1..255; 0 for a standalone server without a server line. */
  readonly sid: number;
  readonly clientPort: number;
  readonly standalone: boolean;
  /** null: no HTTP port. Never leaves the machine unless the client port does or admin.serverAddress says so. */
  readonly http: { readonly host: string; readonly port: number } | null;
}

const SID_MAX = 255;
const PORT_MAX = 65_535;
const INT_MAX = 2 ** 31 - 1;
const DEFAULT_JUTE_MAX_BUFFER = 0xfffff;

/** Read, checked for their form, and of no consequence here: nothing that a user would miss. */
const WITHOUT_CONSEQUENCE: Readonly<Record<string, string>> = {
  'autopurge.snapRetainCount': 'int', 'autopurge.purgeInterval': 'int', standaloneEnabled: 'boolean',
};

/** Settings that cannot be ignored: `when` says which values ask for it. */
const REFUSED: readonly { readonly key: RegExp; readonly when?: (value: string) => boolean; readonly reason: string }[] = [
  { key: /^secureClientPort(Address)?$/, reason: 'there is no TLS for clients yet; remove the line, or put a TLS proxy in front' },
  { key: /^sslQuorum$/, when: isTrue, reason: 'there is no TLS between servers yet; remove the line' },
  { key: /^quorum\.auth\.(enableSasl|learnerRequireSasl|serverRequireSasl)$/, when: isTrue, reason: 'there is no SASL between servers; remove the line' },
  { key: /^(sessionRequireClientSASLAuth|enforce\.auth\.enabled)$/, when: isTrue, reason: 'clients cannot be made to authenticate yet; remove the line' },
  { key: /^dynamicConfigFile$/, reason: 'the list of servers must stand in this file, as server.N lines' },
  { key: /^(group|weight)\.\d+$/, reason: 'hierarchical quorums are not supported: every server has one vote' },
  { key: /^peerType$/, when: (value) => value.toLowerCase() !== 'participant', reason: 'observers are not supported yet' },
  { key: /^electionAlg$/, when: (value) => value !== '3', reason: 'the only election algorithm is 3' },
  {
    key: /^DigestAuthenticationProvider\.digestAlg$/, when: (value) => !/^sha-?1$/i.test(value),
    reason: 'the only digest algorithm is SHA1',
  },
];

function isTrue(value: string): boolean {
  return value.toLowerCase() === 'true';
}

/** Throws DreyError COORD_CONFIG: "file:line: reason". */
export function parseZooCfg(text: string, file: string): ZooCfg {
  return new Parser(file, parseProperties(text)).parse();
}

/** The number in a myid file. Throws DreyError COORD_CONFIG. */
export function parseMyid(text: string, file: string): number {
  const trimmed = text.trim();
  const sid = Number(trimmed);
  if (!/^\d+$/.test(trimmed) || sid < 1 || sid > SID_MAX) throw refusal(file, 1, `myid must be a number from 1 to ${SID_MAX}, not "${trimmed.slice(0, 40)}"`);
  return sid;
}

/** `sid` is that of myid; null when there is no such file, which only a standalone server may do without. Throws DreyError COORD_CONFIG. */
export function settingsOf(cfg: ZooCfg, sid: number | null): ServerSettings {
  const { file, servers } = cfg;
  const standalone = servers.length <= 1;
  if (sid === null && servers.length > 1) throw refusal(file, null, `there are ${servers.length} server lines, but no myid in ${cfg.dataDir} says which of them this server is`);
  const own = servers.find((server) => server.sid === sid) ?? (standalone && sid === null ? servers[0] : undefined);
  if (servers.length > 0 && own === undefined) throw refusal(file, null, `myid is ${sid}, but there is no server.${sid}`);
  const ownPort = own?.clientPort ?? null;
  if (own !== undefined && ownPort !== null && cfg.clientPort !== null && ownPort !== cfg.clientPort) {
    throw refusal(file, own.line, `server.${own.sid} says client port ${ownPort}, clientPort says ${cfg.clientPort}`);
  }
  const clientPort = cfg.clientPort ?? ownPort;
  if (clientPort === null) throw refusal(file, null, 'clientPort is missing');
  if (own !== undefined && own.peerPort === clientPort) throw refusal(file, own.line, `the peer port and the client port are both ${clientPort}`);
  const clientPortAddress = cfg.clientPortAddress ?? own?.clientAddress ?? null;
  const http = cfg.admin === null ? null : { host: cfg.admin.address ?? clientPortAddress ?? '127.0.0.1', port: cfg.admin.port ?? derivedHttpPort(clientPort) };
  if (http !== null && (http.port === clientPort || http.port === own?.peerPort)) {
    throw refusal(file, null, `the HTTP port ${http.port} is the ${http.port === clientPort ? 'client' : 'peer'} port too: set admin.serverPort`);
  }
  return { ...cfg, sid: own?.sid ?? sid ?? 0, clientPort, clientPortAddress, standalone, http };
}

/** 6000 above the client port, wrapped within 1024..65535: different for servers of one host, whose client ports differ. */
export function derivedHttpPort(clientPort: number): number {
  return ((clientPort - 1024 + 6000) % (PORT_MAX + 1 - 1024)) + 1024;
}

function refusal(file: string, line: number | null, reason: string): DreyError {
  return new DreyError('COORD_CONFIG', line === null ? `${file}: ${reason}` : `${file}:${line}: ${reason}`);
}

class Parser {
  readonly #file: string;
  readonly #properties = new Map<string, Property>();
  readonly #used = new Set<string>();
  readonly #warnings: string[] = [];

  constructor(file: string, properties: readonly Property[]) {
    this.#file = file;
    for (const property of properties) {
      const first = this.#properties.get(property.key);
      if (first !== undefined) throw this.#refuse(property, `${property.key} is set again; it already stands in line ${first.line}`);
      this.#properties.set(property.key, property);
    }
  }

  parse(): ZooCfg {
    for (const property of this.#properties.values()) {
      const rule = REFUSED.find(({ key, when }) => key.test(property.key) && (when?.(property.value) ?? true));
      if (rule !== undefined) throw this.#refuse(property, `${property.key}: ${rule.reason}`);
    }
    const tickMs = this.#int('tickTime', 2000, 1, INT_MAX);
    const dataDir = this.#text('dataDir');
    if (dataDir === null) throw refusal(this.#file, null, 'dataDir is missing');
    const minSessionTimeoutMs = this.#sessionTimeout('minSessionTimeout', 2 * tickMs);
    const maxSessionTimeoutMs = this.#sessionTimeout('maxSessionTimeout', 20 * tickMs);
    if (minSessionTimeoutMs > maxSessionTimeoutMs) {
      const property = this.#properties.get('minSessionTimeout') ?? (this.#properties.get('maxSessionTimeout') as Property);
      throw this.#refuse(property, `minSessionTimeout (${minSessionTimeoutMs}) is larger than maxSessionTimeout (${maxSessionTimeoutMs})`);
    }
    const whitelist = this.#text('4lw.commands.whitelist');
    const config = {
      file: this.#file,
      tickMs,
      initLimitTicks: this.#int('initLimit', 10, 1, INT_MAX),
      syncLimitTicks: this.#int('syncLimit', 5, 1, INT_MAX),
      dataDir,
      dataLogDir: this.#text('dataLogDir') ?? dataDir,
      clientPort: this.#port('clientPort'),
      clientPortAddress: this.#text('clientPortAddress'),
      maxClientCnxns: this.#int('maxClientCnxns', 60, 0, INT_MAX),
      minSessionTimeoutMs,
      maxSessionTimeoutMs,
      juteMaxBuffer: this.#int('jute.maxbuffer', DEFAULT_JUTE_MAX_BUFFER, 1024, INT_MAX),
      admin: this.#admin(),
      whitelist: whitelist === null ? new Set(DEFAULT_WHITELIST) : parseWhitelist(whitelist),
      superDigest: this.#superDigest(),
      quorumListenOnAllIPs: this.#boolean('quorumListenOnAllIPs', false),
      servers: this.#servers(),
    };
    this.#rest();
    return { ...config, warnings: this.#warnings };
  }

  // ------------------------------------------------------------ single values

  #refuse(property: Property, reason: string): DreyError {
    return refusal(this.#file, property.line, reason);
  }

  #take(key: string): Property | undefined {
    this.#used.add(key);
    return this.#properties.get(key);
  }

  #text(key: string): string | null {
    const property = this.#take(key);
    if (property === undefined) return null;
    if (property.value === '') throw this.#refuse(property, `${key} has no value`);
    return property.value;
  }

  #int(key: string, byDefault: number, min: number, max: number): number {
    const property = this.#take(key);
    return property === undefined ? byDefault : this.#toInt(property, key, property.value, min, max);
  }

  #toInt(property: Property, what: string, text: string, min: number, max: number): number {
    const value = /^[+-]?\d+$|^0[xX][0-9a-fA-F]+$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isNaN(value)) throw this.#refuse(property, `${what} must be a whole number, not "${text}"`);
    if (value < min || value > max) throw this.#refuse(property, `${what} must be from ${min} to ${max}, not ${text}`);
    return value;
  }

  #boolean(key: string, byDefault: boolean): boolean {
    const property = this.#take(key);
    if (property === undefined) return byDefault;
    const value = property.value.toLowerCase();
    if (value !== 'true' && value !== 'false') throw this.#refuse(property, `${key} must be true or false, not "${property.value}"`);
    return value === 'true';
  }

  #port(key: string): number | null {
    const property = this.#take(key);
    return property === undefined ? null : this.#toInt(property, key, property.value, 1, PORT_MAX);
  }

  /** -1 stands for the default. */
  #sessionTimeout(key: string, byDefault: number): number {
    const value = this.#int(key, -1, -1, INT_MAX);
    if (value === 0) throw this.#refuse(this.#properties.get(key) as Property, `${key} must not be 0`);
    return value === -1 ? byDefault : value;
  }

  #admin(): ZooCfg['admin'] {
    const enabled = this.#boolean('admin.enableServer', true);
    const port = this.#port('admin.serverPort');
    const address = this.#text('admin.serverAddress');
    return enabled ? { address, port } : null;
  }

  #superDigest(): string | null {
    const key = 'DigestAuthenticationProvider.superDigest';
    const value = this.#text(key);
    if (value !== null && !/^[^:]+:[A-Za-z0-9+/]+=*$/.test(value)) throw this.#refuse(this.#properties.get(key) as Property, `${key} must be user:digest, the digest in base64`);
    return value;
  }

  // ------------------------------------------------------------ servers

  #servers(): ServerLine[] {
    const servers: ServerLine[] = [];
    for (const property of this.#properties.values()) {
      if (!property.key.startsWith('server.')) continue;
      this.#used.add(property.key);
      const number = property.key.slice('server.'.length);
      const sid = this.#toInt(property, `N in ${property.key}`, number, 1, SID_MAX);
      const server = this.#serverLine(property, sid);
      for (const other of servers) {
        if (other.sid === sid) throw this.#refuse(property, `server.${sid} already stands in line ${other.line}`);
        if (other.host === server.host && other.peerPort === server.peerPort) {
          throw this.#refuse(property, `server.${sid} has the host and the peer port of server.${other.sid} in line ${other.line}`);
        }
        if (other.host === server.host && server.clientPort !== null && other.clientPort === server.clientPort) {
          throw this.#refuse(property, `server.${sid} has the host and the client port of server.${other.sid} in line ${other.line}`);
        }
      }
      servers.push(server);
    }
    servers.sort((a, b) => a.sid - b.sid);
    if (servers.length > 0 && servers.length % 2 === 0) {
      this.#warnings.push(`${this.#file}: ${servers.length} servers bear the loss of no more servers than ${servers.length - 1} would`);
    }
    return servers;
  }

  /** host:peerPort[:electionPort][:role][;[address:]clientPort] */
  #serverLine(property: Property, sid: number): ServerLine {
    const form = `server.${sid} must be host:peerPort[:electionPort][:participant][;[address:]clientPort], not "${property.value}"`;
    const [quorum, client, ...more] = property.value.split(';') as [string, string?, ...string[]];
    if (more.length > 0) throw this.#refuse(property, form);
    if (quorum.includes('|')) throw this.#refuse(property, `server.${sid}: several addresses of one server are not supported`);
    const fields = splitAddress(quorum);
    if (fields.length < 2 || fields.length > 4 || fields[0] === '') throw this.#refuse(property, form);
    const [host, peerPort, ...options] = fields as [string, string, ...string[]];
    let electionPort: number | null = null;
    let role: string | null = null;
    for (const option of options) {
      if (/^[+-]?\d+$/.test(option) && electionPort === null && role === null) electionPort = this.#toInt(property, `the election port of server.${sid}`, option, 1, PORT_MAX);
      else if (role === null) role = option.toLowerCase();
      else throw this.#refuse(property, form);
    }
    if (role === 'observer') throw this.#refuse(property, `server.${sid} is an observer; observers are not supported yet`);
    if (role !== null && role !== 'participant') throw this.#refuse(property, `server.${sid} has the role "${role}"; it can be participant`);
    const clientFields = client === undefined ? [] : splitAddress(client.trim());
    if (clientFields.length > 2) throw this.#refuse(property, form);
    const clientPortText = clientFields.at(-1);
    return {
      sid,
      host,
      peerPort: this.#toInt(property, `the peer port of server.${sid}`, peerPort, 1, PORT_MAX),
      electionPort,
      clientAddress: clientFields.length === 2 ? (clientFields[0] as string) : null,
      clientPort: clientPortText === undefined ? null : this.#toInt(property, `the client port of server.${sid}`, clientPortText, 1, PORT_MAX),
      line: property.line,
    };
  }

  // ------------------------------------------------------------ the rest

  #rest(): void {
    for (const property of this.#properties.values()) {
      if (this.#used.has(property.key)) continue;
      const form = WITHOUT_CONSEQUENCE[property.key];
      if (form === 'int') this.#int(property.key, 0, 0, INT_MAX);
      else if (form === 'boolean') this.#boolean(property.key, true);
      else this.#warnings.push(`${this.#file}:${property.line}: ${property.key} has no meaning for this server and is ignored`);
    }
  }
}

/** host:port:…, the host in brackets when it is an IPv6 address. */
function splitAddress(text: string): string[] {
  const bracket = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracket === null) return text.split(':').map((part) => part.trim());
  return [bracket[1] as string, ...(bracket[2]?.split(':').map((part) => part.trim()) ?? [])];
}
