import test from 'ava';
import fc from 'fast-check';
import { crc32 } from 'node:zlib';
import { makeZxid } from '../../../coord/base/zxid.ts';
import { DreyError } from '../../../coord/base/errors.ts';
import { decodePeerFrame, encodePeerFrame, sealFrame } from '../../../coord/runtime/peer-frame.ts';
import type { PeerMessage } from '../../../coord/zab/messages.ts';

const message: fc.Arbitrary<PeerMessage> = fc.oneof(
  fc.nat().map((n): PeerMessage => ({ type: 'ACK', zxid: makeZxid(1, n) })),
  fc.uint8Array({ maxLength: 300 }).map((bytes): PeerMessage => ({ type: 'PROPOSAL', group: { firstZxid: makeZxid(1, 1), lastZxid: makeZxid(1, 2), bytes } })),
  fc.array(fc.tuple(fc.string(), fc.uint8Array({ maxLength: 50 })), { maxLength: 5 }).map((entries): PeerMessage => ({ type: 'SNAPCHUNK', entries })),
);

test('what goes in comes out; with any bit flipped, or any end cut off, it is refused', (t) => {
  fc.assert(fc.property(message, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(7), (sent, where, bit) => {
    const frame = encodePeerFrame(sent);
    const got = decodePeerFrame(frame);
    t.deepEqual(Buffer.from(encodePeerFrame(got)), Buffer.from(frame));
    const at = Math.floor(where * frame.length);
    const flipped = frame.slice();
    flipped[at] = (flipped[at] as number) ^ (1 << bit);
    for (const wrong of [flipped, frame.slice(0, at)]) {
      const error = t.throws(() => decodePeerFrame(wrong), { instanceOf: DreyError });
      t.is(error.code, 'COORD_PEER_FRAME');
    }
  }), { numRuns: 300 });
});

test('a checksum does not make sense of nonsense', (t) => {
  for (const body of [[], [0x90], [0x91, 99], [0xdd, 0xff, 0xff, 0xff, 0xff]]) t.throws(() => decodePeerFrame(sealFrame(Buffer.from(body))), { instanceOf: DreyError });
});

test('the checksum is the CRC-32, of short frames and of long ones', (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
    const frame = Buffer.from(sealFrame(body));
    t.is(frame.readUInt32LE(body.length), crc32(body));
  }));
});
