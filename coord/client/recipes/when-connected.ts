import type { CoordClient } from '../api.ts';
import { CoordError } from '../errors.ts';

/** Resolves when the client is connected; rejects when it never will be again. */
export function whenConnected(client: CoordClient): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): boolean => {
      if (client.state === 'connected') resolve();
      else if (client.state === 'expired') reject(new CoordError('SESSIONEXPIRED'));
      else if (client.state === 'closed') reject(new CoordError('CLOSED'));
      else if (client.state === 'auth-failed') reject(new CoordError('AUTHFAILED'));
      else return false;
      return true;
    };
    if (look()) return;
    const off = client.onState(() => {
      if (look()) off();
    });
  });
}
