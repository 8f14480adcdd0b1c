/** Effects and messages as one line each, in the notation of the scripts: a zxid is epoch.counter. */
import type { PeerEffect, PersistOp } from '../../../coord/zab/contract.ts';
import type { PeerMessage } from '../../../coord/zab/messages.ts';
import type { TxnGroup } from '../../../coord/zab/txn-group.ts';
import { show } from './judges.ts';

/** Said by other effects already. */
const SILENT_TRACES = new Set(['Deliver', 'Broadcast', 'Ack', 'Truncate']);

/** Null for what is of no interest. `peerOf` names the other end of a channel. */
export function describeEffect(sid: number, effect: PeerEffect, peerOf: (channel: number) => number | null): string | null {
  switch (effect.type) {
    case 'persist':
      return `${sid}: persist #${effect.seq} ${describeOp(effect.op)}`;
    case 'send':
      return effect.message.type === 'HEARTBEAT' ? null : `${sid}->${peerOf(effect.channel) ?? '?'} ${describeMessage(effect.message)}`;
    case 'resetState':
      return `${sid}: resetState ${show(effect.baseZxid)}`;
    case 'deliver':
      return `${sid}: deliver ${showGroup(effect.group)}`;
    case 'state':
      return `${sid}: ${effect.state}${effect.leader === null ? '' : ` leader=${effect.leader}`} epoch=${effect.epoch}`;
    case 'serving':
      return `${sid}: serving ${effect.serving} epoch=${effect.epoch}`;
    case 'pipeline':
      return `${sid}: pipeline from ${effect.sid}: ${JSON.stringify(effect.body)}`;
    case 'learnerUp':
    case 'learnerDown':
      return `${sid}: ${effect.type} ${effect.sid}`;
    case 'quorumConfirmed':
      return `${sid}: quorumConfirmed ${effect.token}`;
    case 'dialLearner':
      return `${sid}: dials ${effect.sid}`;
    case 'closeChannel':
      return null;
    case 'readJournal':
      return `${sid}: readJournal for ${peerOf(effect.channel) ?? '?'} after ${show(effect.afterZxid)}`;
    case 'sendSnapshot':
      return `${sid}: sendSnapshot for ${peerOf(effect.channel) ?? '?'}`;
    case 'trace':
      return SILENT_TRACES.has(effect.name) ? null : `${sid}: * ${effect.name}${describeFields(effect.fields)}`;
  }
}

export function describeMessage(message: PeerMessage): string {
  switch (message.type) {
    case 'NOTIFICATION': {
      const { vote } = message;
      const proposed = vote.sid < 0 ? 'no vote' : `vote=${vote.sid} (${vote.peerEpoch}, ${show(vote.zxid)})`;
      return `NOTIFICATION ${message.state} round=${message.electionEpoch} ${proposed}`;
    }
    case 'FOLLOWERINFO':
      return `FOLLOWERINFO acceptedEpoch=${message.acceptedEpoch}${message.suspect ? ' suspect' : ''}`;
    case 'ACKEPOCH':
      return `ACKEPOCH currentEpoch=${message.currentEpoch} last=${show(message.lastZxid)} ends=[${message.history.map((end) => show(end.lastZxid)).join(' ')}] applied=${show(message.appliedZxid)}`;
    case 'LEADERINFO':
    case 'NEWLEADER':
      return `${message.type} ${message.epoch}`;
    case 'ACK':
    case 'TRUNC':
    case 'UPTODATE':
    case 'COMMIT':
      return `${message.type} ${show(message.zxid)}`;
    case 'SNAP':
      return `SNAP ${show(message.baseZxid)}`;
    case 'SNAPEND':
      return `SNAPEND ${show(message.baseZxid)}`;
    case 'PROPOSAL':
      return `PROPOSAL ${showGroup(message.group)}`;
    case 'PING':
    case 'PONG':
      return `${message.type} ${message.round}`;
    case 'PIPELINE':
      return `PIPELINE ${JSON.stringify(message.body)}`;
    default:
      return message.type;
  }
}

function describeOp(op: PersistOp): string {
  switch (op.type) {
    case 'group':
      return `group ${showGroup(op.group)}`;
    case 'truncate':
      return `truncate ${show(op.zxid)}`;
    case 'hardState':
      return `acceptedEpoch=${op.acceptedEpoch} currentEpoch=${op.currentEpoch}`;
    case 'snapshotBegin':
      return `snapshotBegin ${show(op.baseZxid)}`;
    case 'snapshotChunk':
      return `snapshotChunk ${op.entries.length}`;
    case 'snapshotInstall':
      return `snapshotInstall ${show(op.baseZxid)} +[${op.groups.map(showGroup).join(' ')}] acceptedEpoch=${op.acceptedEpoch} currentEpoch=${op.currentEpoch}`;
  }
}

export function showGroup(group: TxnGroup): string {
  return group.firstZxid === group.lastZxid ? show(group.lastZxid) : `${show(group.firstZxid)}-${show(group.lastZxid)}`;
}

function describeFields(fields: Readonly<Record<string, unknown>>): string {
  const words = Object.entries(fields).filter(([key]) => key !== 'channel').map(([key, value]) => `${key}=${/zxid$/i.test(key) ? show(Number(value)) : String(value)}`);
  return words.length === 0 ? '' : ` ${words.join(' ').replace(/0x[0-9a-f]+/g, (hex) => show(Number(hex)))}`;
}
