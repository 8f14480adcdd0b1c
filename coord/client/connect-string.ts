/** "zk://host:port,[::1]:port/chroot": which protocol, which servers, and the path that the client sees as its root. */
import { DreyError } from '../base/errors.ts';
import { validatePath } from './paths.ts';
import type { ServerAddress } from './transport.ts';

export type ClientProtocol = 'zk' | 'drey';

export interface ConnectTarget {
  readonly protocol: ClientProtocol;
  readonly servers: readonly ServerAddress[];
  /** '' for none. */
  readonly chroot: string;
}

const DEFAULT_PORT = 2181;

export function parseConnectString(text: string): ConnectTarget {
  const bad = (reason: string): never => {
    throw new DreyError('COORD_CONNECT_STRING', `connect string "${text}": ${reason}`);
  };
  const scheme = /^([a-z]+):\/\//.exec(text);
  const protocol = scheme?.[1] ?? 'zk';
  if (protocol !== 'zk' && protocol !== 'drey') return bad(`unknown scheme "${protocol}"; zk:// and drey:// are known`);
  const rest = text.slice(scheme?.[0].length ?? 0);
  const slash = rest.indexOf('/');
  const hosts = slash < 0 ? rest : rest.slice(0, slash);
  const root = slash < 0 ? '/' : rest.slice(slash);
  const problem = validatePath(root);
  if (problem !== null) return bad(`chroot "${root}" ${problem}`);
  const servers = hosts.split(',').map((item): ServerAddress => {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+))(?::(\d{1,5}))?$/.exec(item.trim());
    if (match === null) return bad(item.trim() === '' ? 'a server is missing' : `"${item}" is not host:port`);
    const port = match[3] === undefined ? DEFAULT_PORT : Number(match[3]);
    if (port < 1 || port > 65535) return bad(`"${item}": the port must be between 1 and 65535`);
    return { host: (match[1] ?? match[2]) as string, port };
  });
  return { protocol, servers, chroot: root === '/' ? '' : root };
}
