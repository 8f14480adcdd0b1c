/** Arbitrary requests over few paths, sessions and ids, so that they meet each other. */
import fc from 'fast-check';
import { OPEN_ACL } from '../../../coord/tree/acl.ts';
import { OpCode } from '../../../coord/wire/codes.ts';
import type { ClientRequest } from '../../../coord/wire/types.ts';
import { requestOf } from './harness.ts';

export const SESSIONS = [1n, 2n, -3n];

export type Step =
  | { readonly kind: 'request'; readonly request: ClientRequest; readonly session: bigint }
  | { readonly kind: 'createSession' | 'closeSession'; readonly session: bigint }
  | { readonly kind: 'commit'; readonly count: number };

const path = fc.constantFrom('/a', '/a', '/a', '/a/é', '/a/é', '/a/é/c', '/s-0000000001', '/a/s-0000000000', '/a/s-0000000001');
const data = fc.option(fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1000, max: 1100 }).map((n) => new Uint8Array(n).fill(n & 0xff))), { nil: null });
const version = fc.constantFrom(-1, -1, -1, 0, 1);
const acl = fc.constantFrom(
  OPEN_ACL, OPEN_ACL, OPEN_ACL, [{ perms: 1, scheme: 'world', id: 'anyone' }], [{ perms: 31, scheme: 'digest', id: 'ü:hash' }, ...OPEN_ACL], [],
);

const single: fc.Arbitrary<ClientRequest> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ op: fc.constantFrom(OpCode.create, OpCode.create2), path, data, acl, flags: fc.constantFrom(0, 0, 1, 2, 3) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant(OpCode.create), path: path.map((p) => `${p.slice(0, p.lastIndexOf('/'))}/s-`), data, acl, flags: fc.constantFrom(2, 3) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant(OpCode.createContainer), path, data, acl, flags: fc.constant(4) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant(OpCode.createTTL), path, data, acl, flags: fc.constantFrom(5, 6), ttlMs: fc.integer({ min: 0, max: 9 }) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant(OpCode.delete), path, version }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant(OpCode.setData), path, data, version }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant(OpCode.setACL), path, acl, version }) },
).map(requestOf);

const multi = fc
  .array(fc.oneof(single.filter((op) => op.op !== OpCode.setACL), fc.record({ op: fc.constant(OpCode.check), path, version }).map(requestOf)), { maxLength: 5 })
  .map((ops) => requestOf({ op: OpCode.multi, ops }));

const session = fc.constantFrom(...SESSIONS);

export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('request' as const), request: single, session }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('request' as const), request: multi, session }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('createSession' as const, 'closeSession' as const), session }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('commit' as const), count: fc.integer({ min: 1, max: 6 }) }) },
);
export const steps = fc.array(step, { maxLength: 80, size: 'max' });
