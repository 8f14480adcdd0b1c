/** What the requests of clients of either kind have in common. */
import { OpCode, Perms } from '../../coord/wire/codes.ts';
import { ClientRequest, type Acl } from '../../coord/wire/types.ts';
import type { CallOp } from './call.ts';

/** They share /k0 to /k7, the ephemerals /e0 to /e11, and what is below the queue. */
export const QUEUE = '/q';
export const PATHS = 8;
export const OPEN_ACL: readonly Acl[] = [{ perms: Perms.ALL, scheme: 'world', id: 'anyone' }];

export function request(op: OpCode, path: string): ClientRequest {
  const r = new ClientRequest();
  r.op = op;
  r.path = path;
  return r;
}

/** `create`: which request of that kind. */
export function multi(ops: readonly CallOp[], value: string, create: OpCode): ClientRequest {
  const opcodes = { check: OpCode.check, set: OpCode.setData, create, delete: OpCode.delete };
  const r = request(OpCode.multi, '');
  r.ops = ops.map(({ kind, path, version }) => {
    const op = request(opcodes[kind], path);
    op.data = kind === 'create' || kind === 'set' ? Buffer.from(value) : null;
    op.version = version;
    op.acl = OPEN_ACL;
    return op;
  });
  return r;
}
