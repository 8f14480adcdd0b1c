/** Streams the state to a learner: SNAP, SNAPCHUNKs of at most 64 KB with bounded bytes in flight, SNAPEND. */
import type { Callback, PeerTransport } from '../base/ports.ts';
import type { StateSnapshot } from '../storage/storage.ts';
import type { PeerMessage } from '../zab/messages.ts';
import type { Zxid } from '../base/zxid.ts';
import { DreyError } from '../base/errors.ts';

const CHUNK_BYTES_MAX = 64 * 1024;
const IN_FLIGHT_BYTES_MAX = 1024 * 1024;

export interface SnapshotSender {
  /** Goes on; called once to begin, and whenever the channel has drained. */
  resume(): void;
  cancel(): void;
}

export function sendSnapshot(snapshot: StateSnapshot, transport: PeerTransport, channel: number, encode: (message: PeerMessage) => Uint8Array, done: Callback<Zxid>): SnapshotSender {
  let over = false;
  let reading = false;
  let begun = false;
  let entryCount = 0;
  const end = (error: Error | null): void => {
    if (over) return;
    over = true;
    snapshot.close();
    done(error, snapshot.baseZxid);
  };
  const resume = (): void => {
    if (over || reading) return;
    if (!begun) {
      begun = true;
      transport.send(channel, encode({ type: 'SNAP', baseZxid: snapshot.baseZxid }));
    }
    if (transport.buffered(channel) > IN_FLIGHT_BYTES_MAX) return; // drained() resumes
    reading = true;
    snapshot.next(CHUNK_BYTES_MAX, (error, entries) => {
      reading = false;
      if (over) return;
      if (error !== null) return end(error);
      if (entries.length === 0) {
        transport.send(channel, encode({ type: 'SNAPEND', baseZxid: snapshot.baseZxid, entryCount }));
        transport.flush();
        return end(null);
      }
      entryCount += entries.length;
      transport.send(channel, encode({ type: 'SNAPCHUNK', entries }));
      transport.flush();
      resume();
    });
  };
  return { resume, cancel: () => end(new DreyError('COORD_CHANNEL_CLOSED', 'the learner is gone', { retryable: true })) };
}
