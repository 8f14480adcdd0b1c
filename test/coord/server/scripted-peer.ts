/** A PeerCore under a test's control: records what it is given, hands out the effects that the test queues. */
import type { PeerCore, PeerDrain, PeerEffect, PeerEvent } from '../../../coord/zab/contract.ts';
import type { ServerState } from '../../../coord/zab/messages.ts';

export class ScriptedPeer implements PeerCore {
  readonly events: PeerEvent[] = [];
  #effects: PeerEffect[] = [];
  state: ServerState = 'LOOKING';
  waitsFor = 'nothing';
  lastZxid = 0;
  committedZxid = 0;
  acceptedEpoch = 1;
  currentEpoch = 1;
  journalNeededAfter = Infinity;
  learners = { synced: 0, total: 0 };

  queue(...effects: PeerEffect[]): void {
    this.#effects.push(...effects);
  }
  step(event: PeerEvent): void {
    this.events.push(event);
  }
  drain(): PeerDrain {
    const effects = this.#effects;
    this.#effects = [];
    return { effects, deadlineMs: Infinity };
  }
  /** Takes out the bodies of pipeline messages sent since the last call. */
  sent(): Uint8Array[] {
    const bodies = this.events.flatMap((event) => (event.type === 'pipeline' ? [event.body as Uint8Array] : []));
    this.events.length = 0;
    return bodies;
  }
}
