/** Who the simulated clients may log in as. */
import { createHash } from 'node:crypto';
import type { AuthId } from '../../coord/wire/types.ts';

export interface User {
  readonly auth: Uint8Array;
  readonly id: AuthId;
}

export const USERS: readonly User[] = ['ann', 'bob'].map((name) => {
  const auth = Buffer.from(`${name}:secret of ${name}`);
  return { auth, id: { scheme: 'digest', id: `${name}:${createHash('sha1').update(auth).digest('base64')}` } };
});
