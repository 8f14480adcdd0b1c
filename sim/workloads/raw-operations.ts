/** What raw clients ask for, as data: what is prescribed, and what they draw. */
import type { Prng } from '../../coord/base/prng.ts';
import { CreateFlag, OpCode } from '../../coord/wire/codes.ts';
import type { OpPlan } from '../plan/plan.ts';
import type { Call, CallOp } from './call.ts';
import { PATHS, QUEUE } from './requests.ts';

export type RawOperation =
  | { readonly type: 'read'; readonly op: OpCode; readonly kind: Call['kind']; readonly path: string; readonly watch: boolean }
  | { readonly type: 'sync-get'; readonly path: string }
  | { readonly type: 'write'; readonly op: OpCode; readonly kind: Call['kind']; readonly path: string; readonly version: number; readonly flags: number }
  | { readonly type: 'multi'; readonly path: string; readonly ops: readonly CallOp[] };

const read = (kind: 'get' | 'exists' | 'children', path: string, watch = false): RawOperation => ({ type: 'read', op: READS[kind], kind, path, watch });
const READS = { get: OpCode.getData, exists: OpCode.exists, children: OpCode.getChildren2 } as const;
const write = (kind: Call['kind'], op: OpCode, path: string, { version = -1, flags = CreateFlag.PERSISTENT }: { version?: number; flags?: number } = {}): RawOperation => ({ type: 'write', op, kind, path, version, flags });
export const CLOSE = write('close', OpCode.closeSession, '');
export const EPHEMERAL = createEphemeral('/e0');

function createEphemeral(path: string): RawOperation {
  return write('create-ephemeral', OpCode.create, path, { flags: CreateFlag.EPHEMERAL });
}

/** The others do not ask a server for anything. */
export function prescribedOperation(kind: Exclude<OpPlan['op'], 'connect' | 'disconnect' | 'abandon'>, path: string): RawOperation {
  switch (kind) {
    case 'get':
    case 'exists':
    case 'children':
      return read(kind, path);
    case 'sync-get':
      return { type: 'sync-get', path };
    case 'set':
      return write('set', OpCode.setData, path);
    case 'delete':
      return write('delete', OpCode.delete, path);
    case 'create':
      return write('create', OpCode.create, path);
    case 'create-ephemeral':
      return createEphemeral(path);
    case 'create-sequential':
      return write('create-sequential', OpCode.create, path, { flags: CreateFlag.PERSISTENT_SEQUENTIAL });
    case 'close':
      return CLOSE;
  }
}

export function drawRawOperation(prng: Prng): RawOperation {
  const path = `/k${prng.below(PATHS)}`;
  const draw = prng.float();
  const watch = prng.chance(0.3);
  const version = prng.chance(0.2) ? prng.below(6) : -1;
  if (draw < 0.3) return write('set', OpCode.setData, path, { version });
  if (draw < 0.45) return read('get', path, watch);
  if (draw < 0.5) return read('exists', path, watch);
  if (draw < 0.55) return read('children', QUEUE, watch);
  if (draw < 0.65) return { type: 'sync-get', path };
  const ephemeral = `/e${prng.below(12)}`;
  const rarely = prng.float();
  if (draw < 0.75) return write('create', OpCode.create, rarely < 0.2 ? QUEUE : path);
  if (draw < 0.82) return write('create-sequential', OpCode.create, `${QUEUE}/s-`, { flags: rarely < 0.7 ? CreateFlag.EPHEMERAL_SEQUENTIAL : CreateFlag.PERSISTENT_SEQUENTIAL });
  if (draw < 0.87) return createEphemeral(ephemeral);
  if (draw < 0.94) return write('delete', OpCode.delete, rarely < 0.3 ? ephemeral : rarely > 0.95 ? QUEUE : path, { version: version < 0 ? -1 : 0 });
  const any: CallOp[] = [
    { kind: 'check', path, version: -1 }, { kind: 'set', path, version: -1 },
    { kind: 'create', path: `/k${prng.below(PATHS)}`, version: -1 }, { kind: 'delete', path: `/k${prng.below(PATHS)}`, version: -1 },
  ];
  const chosen = any.filter(() => prng.chance(0.5));
  return { type: 'multi', path, ops: chosen.length === 0 ? any.slice(0, 1) : chosen };
}
