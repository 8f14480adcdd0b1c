/**
 * What clients with the library draw: everything that its interface offers. Paths that the raw clients use too (/k0, /e3, /q), and a room of their
 * own (/a) for ACLs, containers and TTL znodes.
 */
import type { Prng } from '../../coord/base/prng.ts';
import { CreateFlag, OpCode, Perms } from '../../coord/wire/codes.ts';
import type { Acl } from '../../coord/wire/types.ts';
import type { AddWatchMode } from '../../coord/client/api.ts';
import type { CallOp } from './call.ts';
import { OPEN_ACL, PATHS, QUEUE } from './requests.ts';
import { USERS } from './users.ts';

const ROOM = '/a';

export type Drawn =
  | { readonly kind: 'get' | 'exists' | 'children'; readonly path: string; readonly watch: boolean }
  | { readonly kind: 'sync-get'; readonly path: string }
  | { readonly kind: 'set' | 'delete' | 'create' | 'create-ephemeral'; readonly path: string; readonly version?: number; readonly big?: boolean }
  | { readonly kind: 'create-sequential'; readonly path: string; readonly ephemeral?: boolean }
  | { readonly kind: 'multi'; readonly ops: readonly CallOp[] }
  | { readonly kind: 'protected' }
  | { readonly kind: 'watch'; readonly path: string; readonly mode: AddWatchMode }
  | { readonly kind: 'unwatch'; readonly which: number }
  | { readonly kind: 'own'; readonly op: OpCode; readonly path: string; readonly flags: number; readonly ttlMs: number; readonly acl: readonly Acl[] | null; readonly version: number };

export function drawOperation(prng: Prng): Drawn {
  const path = `/k${prng.below(PATHS)}`;
  const watch = prng.chance(0.3);
  const version = prng.chance(0.2) ? prng.below(6) : -1;
  const draw = prng.float();
  if (draw < 0.14) return { kind: 'set', path, version, big: prng.chance(0.1) };
  if (draw < 0.22) return { kind: 'get', path, watch };
  if (draw < 0.27) return { kind: 'exists', path, watch };
  if (draw < 0.32) return { kind: 'children', path: QUEUE, watch };
  if (draw < 0.38) return { kind: 'sync-get', path };
  if (draw < 0.46) return { kind: 'create', path: prng.pick([path, path, QUEUE, ROOM]) };
  if (draw < 0.5) return { kind: 'create-sequential', path: `${QUEUE}/s-`, ephemeral: prng.chance(0.7) };
  if (draw < 0.54) return { kind: 'create-ephemeral', path: `/e${prng.below(12)}` };
  if (draw < 0.6) return { kind: 'delete', path: prng.chance(0.3) ? `/e${prng.below(12)}` : path, version: version < 0 ? -1 : 0 };
  if (draw < 0.66) return { kind: 'multi', ops: drawMulti(prng) };
  if (draw < 0.69) return { kind: 'protected' };
  if (draw < 0.72) return { kind: 'watch', path: prng.pick([path, QUEUE, '/', ROOM]), mode: prng.pick(['persistent', 'persistent-recursive']) };
  if (draw < 0.74) return { kind: 'unwatch', which: prng.below(12) };
  return drawOwn(prng, draw);
}

function drawMulti(prng: Prng): CallOp[] {
  const kinds = ['check', 'set', 'create', 'delete'] as const;
  return Array.from({ length: prng.between(1, 4) }, () => ({ kind: prng.pick(kinds), path: `/k${prng.below(PATHS)}`, version: prng.chance(0.1) ? prng.below(4) : -1 }));
}

function drawOwn(prng: Prng, draw: number): Drawn {
  const path = `${ROOM}/n${prng.below(5)}`;
  const box = `${ROOM}/c${prng.below(3)}`;
  const timed = `${ROOM}/t${prng.below(3)}`;
  const acl = drawAcl(prng);
  const version = prng.chance(0.1) ? prng.below(3) : -1;
  const ttlMs = prng.between(200, 3000);
  const own = (op: OpCode, at: string, more: { flags?: number; ttlMs?: number; acl?: readonly Acl[] | null } = {}): Drawn =>
    ({ kind: 'own', op, path: at, flags: 0, ttlMs: 0, acl: null, version, ...more });
  if (draw < 0.79) return own(OpCode.create2, path, { acl, flags: prng.pick([CreateFlag.PERSISTENT, CreateFlag.PERSISTENT, CreateFlag.EPHEMERAL]) });
  if (draw < 0.81) return own(OpCode.create2, `${path}/below`, { acl });
  if (draw < 0.84) return own(OpCode.setACL, path, { acl });
  if (draw < 0.86) return own(OpCode.getACL, prng.pick([path, box, ROOM]));
  if (draw < 0.88) return own(OpCode.setData, prng.pick([path, timed]));
  if (draw < 0.9) return own(OpCode.getData, prng.pick([path, timed]));
  if (draw < 0.92) return own(OpCode.delete, prng.pick([path, `${path}/below`, `${box}/x`, timed]));
  if (draw < 0.94) return own(OpCode.createContainer, box, { acl: OPEN_ACL, flags: CreateFlag.CONTAINER });
  if (draw < 0.96) return own(OpCode.create2, `${box}/x`, { acl: OPEN_ACL });
  if (draw < 0.98) return own(OpCode.createTTL, timed, { acl: OPEN_ACL, flags: prng.pick([CreateFlag.PERSISTENT_WITH_TTL, CreateFlag.PERSISTENT_SEQUENTIAL_WITH_TTL]), ttlMs });
  if (draw < 0.99) return own(OpCode.getEphemerals, '/');
  return own(OpCode.sync, '/');
}

function drawAcl(prng: Prng): readonly Acl[] {
  const perms = prng.pick([Perms.ALL, Perms.READ, Perms.READ | Perms.WRITE, Perms.ALL & ~Perms.READ, Perms.CREATE | Perms.DELETE | Perms.ADMIN]);
  const world = { perms, scheme: 'world', id: 'anyone' };
  const user = { perms, ...(USERS[prng.below(USERS.length)] as (typeof USERS)[number]).id };
  return prng.pick([OPEN_ACL, OPEN_ACL, [world], [{ perms: Perms.ALL, scheme: 'auth', id: '' }], [user], [user, { ...world, perms: Perms.READ }], [{ ...world, perms: Perms.READ }, { perms: Perms.ALL, scheme: 'auth', id: '' }], [user, user]]);
}
