/** Which state of a client may follow which, as coord/client/api.ts says it. */
import type { StateSignal } from '../../coord/client/api.ts';

export function mayFollow(before: StateSignal | 'none', signal: StateSignal): boolean {
  switch (signal) {
    case 'connecting':
      return before === 'expired';
    case 'connected':
      return before === 'none' || before === 'connecting' || before === 'suspended' || before === 'lease-lost';
    case 'reconnected':
    case 'lease-lost':
      return before === 'suspended' || (signal === 'reconnected' && before === 'lease-lost');
    case 'suspended':
      return before === 'connected' || before === 'reconnected';
    case 'expired':
      return before !== 'closed' && before !== 'auth-failed' && before !== 'expired';
    default:
      return before !== 'closed' && before !== 'auth-failed';
  }
}
