import type { CoordClient } from '../api.ts';
import { CoordError } from '../errors.ts';

/**
 * For goodbyes: awaits `work`, but no longer than the connection lasts. Without one the work stays queued, and an ensemble that is down does
 * not keep a process from ending; ephemerals go with the session.
 */
export async function whileConnected(client: CoordClient, work: Promise<void>): Promise<void> {
  let off: () => void = () => undefined;
  const disconnected = new Promise<void>((resolve) => {
    off = client.onState((signal) => {
      if (signal !== 'connected' && signal !== 'reconnected') resolve();
    });
    if (client.state !== 'connected') resolve();
  });
  try {
    await Promise.race([work, disconnected]);
  } finally {
    off();
  }
}

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
