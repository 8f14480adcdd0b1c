/**
 * Creation of sequential znodes whose reply may be lost (CURATOR-498): the name carries an id that nobody else uses, so that the creator
 * can look after a lost connection whether its znode is there.
 */
import { nanoid } from 'nanoid';
import type { CoordClient, CreateOptions, Data, Stat } from '../api.ts';
import { CoordError, isCoordError } from '../errors.ts';
import { joinPath } from '../paths.ts';
import { whenConnected } from './when-connected.ts';

/** Creates `<directory>/_c_<id>-<name><sequence>`; rejects with SESSIONEXPIRED when the session in which it began is over. */
export async function createProtected(
  client: CoordClient, directory: string, name: string, data: Data, options: CreateOptions, guid: () => string = nanoid,
): Promise<{ path: string; stat: Stat }> {
  // A create that waits for the first session belongs to that one, and not to whichever comes after it.
  if (client.session.id === 0n) await whenConnected(client);
  const session = client.session.id;
  const prefix = `_c_${guid()}-`;
  let doubtful = false;
  for (;;) {
    try {
      if (doubtful) {
        // The server of the new connection may lag behind the one that took the request.
        await client.sync(directory);
        const { children } = await client.getChildren(directory);
        const found = children.find((child) => child.startsWith(prefix));
        const path = joinPath(directory, found ?? '');
        const stat = found === undefined ? null : await client.exists(path);
        if (stat !== null) return { path, stat };
        doubtful = false;
      }
      return await client.createWithStat(joinPath(directory, `${prefix}${name}`), data, options);
    } catch (error) {
      if (!isCoordError(error) || !error.retryable) throw error;
      doubtful ||= error.code === 'CONNECTIONLOSS';
      await whenConnected(client);
      if (client.session.id !== session) throw new CoordError('SESSIONEXPIRED', directory);
    }
  }
}

/** Those whose name is `…-<name><ten digits>`, oldest first. The counter is an int32 that wraps: neighbours are compared by their distance. */
export function sortBySequence(children: readonly string[], name: string): string[] {
  const sequences = new Map<string, number>();
  for (const child of children) {
    const at = child.lastIndexOf(`-${name}`);
    const digits = at < 0 ? '' : child.slice(at + 1 + name.length);
    if (/^-?\d{10}$/.test(digits)) sequences.set(child, Number(digits));
  }
  return [...sequences.keys()].sort((a, b) => ((sequences.get(a) as number) - (sequences.get(b) as number)) | 0);
}
