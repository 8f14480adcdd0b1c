/** A fault in words: 'crash of server-2 at 1,204 ms, within send ACK'. */
import { count } from '../cli/text.ts';
import type { FaultAction, FaultPlan, Moment, OpPlan } from '../plan/plan.ts';

export function describeFault({ action, when }: FaultPlan): string {
  return `${describeAction(action)} ${describeMoment(when)}`;
}

export function describeOp({ client, op, path, times, when }: OpPlan): string {
  return `${op}${path === undefined ? '' : ` ${path}`}${times === undefined || times === 1 ? '' : ` × ${times}`} of client-${client} ${describeMoment(when)}`;
}

function describeMoment({ atMs, after, event, plusMs }: Moment): string {
  const parts: string[] = [];
  if (atMs !== undefined) parts.push(`${event === undefined ? 'at' : 'from'} ${time(atMs)}`);
  if (after !== undefined) parts.push(`after ${after}`);
  if (event !== undefined) {
    const where = Object.entries(event.where ?? {}).map(([key, value]) => `${key} ${value}`).join(', ');
    const nth = event.nth === undefined || event.nth === 1 ? '' : ` no. ${event.nth}`;
    parts.push(`${plusMs === undefined ? 'within' : `${time(plusMs)} after`} ${event.name}${nth} of ${event.who}${where === '' ? '' : ` (${where})`}`);
  } else if (plusMs !== undefined) parts.push(`${time(plusMs)} later`);
  return parts.length === 0 ? 'at once' : parts.join(', ');
}

function time(n: number): string {
  return `${count(Math.trunc(n))} ms`;
}

function describeAction(action: FaultAction): string {
  switch (action.kind) {
    case 'crash':
      return `${action.keeps === 'durable' ? 'crash' : 'kill'} of ${action.on}${action.downMs === null ? ' for good' : ''}`;
    case 'power-failure':
      return `power failure of ${action.on.join(', ')}`;
    case 'restart':
      return `restart of ${action.on}${action.knobs === undefined ? '' : ' with other settings'}`;
    case 'start':
      return `start of ${action.on}`;
    case 'pause':
      return `pause of ${action.on} for ${time(action.forMs)}`;
    case 'partition':
      return `partition ${action.groups.map((group) => group.join(' ')).join(' | ')}${action.ways === 'both' ? '' : ` (${action.ways})`} for ${time(action.forMs)}`;
    case 'ring':
      return `ring partition for ${time(action.forMs)}`;
    case 'clog':
      return `clog of ${action.from} > ${action.to} for ${time(action.forMs)}`;
    case 'slow-network':
      return `slow network of ${action.on}, ${time(action.extraMs)} more`;
    case 'bandwidth':
      return `links of ${action.on} at ${action.bytesPerMs} bytes/ms for ${time(action.forMs)}`;
    case 'break':
      return `break of ${action.from} - ${action.to}${action.lateMs === undefined ? '' : `, late by ${time(action.lateMs)}`}`;
    case 'drop':
      return `loss of a ${action.type} from ${action.from} to ${action.to}`;
    case 'corrupt':
      return `corruption of a frame from ${action.from} to ${action.to}`;
    case 'slow-disk':
      return `slow disk of ${action.on}, ${time(action.extraMs)} more`;
    case 'stall-disk':
      return `stalled disk of ${action.on} for ${time(action.forMs)}`;
    case 'disk-error':
      return `failing ${action.what} of ${action.on}`;
    case 'disk-full':
      return `full disk of ${action.on} for ${time(action.forMs)}`;
    case 'rot':
      return `rot of the ${action.what} of ${action.on}`;
    case 'misdirect':
      return `a write of the ${action.what} of ${action.on} that went astray`;
    case 'image-disk':
      return `image of the disk of ${action.on}`;
    case 'roll-back':
      return `${action.what} of ${action.on} back to its image`;
    case 'lose-disk':
      return `lost disk of ${action.on}`;
    case 'swap-disks':
      return `swapped disks of ${action.a} and ${action.b}`;
    case 'clock-jump':
      return `clock of ${action.on} jumps by ${time(action.byMs)}`;
    case 'clock-rate':
      return `clock of ${action.on} at rate ${action.rate}`;
    case 'depose':
      return 'the leading master is deposed';
    default: {
      const { kind, ...rest } = action;
      return `${kind}${Object.entries(rest).map(([key, value]) => ` ${key} ${String(value)}`).join(',')}`;
    }
  }
}
