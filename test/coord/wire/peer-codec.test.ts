import test from 'ava';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { DreyError } from '../../../coord/base/errors.ts';
import { EPOCH_MAX, makeZxid } from '../../../coord/base/zxid.ts';
import { decodeFlat, decodeMsgpack, encodeFlat, encodeMsgpack } from '../../../coord/wire/msgpack.ts';
import { decodePeerMessage, encodePeerMessage } from '../../../coord/wire/peer-codec.ts';
import type { PeerMessage } from '../../../coord/zab/messages.ts';
import { plain } from './arbitraries.ts';

const epoch = fc.integer({ min: 0, max: EPOCH_MAX });
const zxid = fc.tuple(epoch, fc.integer({ min: 0, max: 0xffff_ffff })).map(([e, c]) => makeZxid(e, c));
const sid = fc.integer({ min: 0, max: 255 });
const natural = fc.nat(Number.MAX_SAFE_INTEGER);
const bytes = fc.uint8Array({ maxLength: 100 }).map((b) => Uint8Array.from(b));
const type = <T extends PeerMessage['type']>(name: T): fc.Arbitrary<T> => fc.constant(name);

const message = fc.oneof(
  fc.record({
    type: type('NOTIFICATION'), vote: fc.record({ sid: fc.integer({ min: -1, max: 255 }), zxid, peerEpoch: epoch }), electionEpoch: natural,
    state: fc.constantFrom('LOOKING' as const, 'FOLLOWING' as const, 'LEADING' as const),
  }),
  fc.record({ type: type('HEARTBEAT') }),
  fc.record({ type: type('FOLLOWERINFO'), sid, acceptedEpoch: epoch, suspect: fc.boolean() }),
  fc.record({
    type: type('ACKEPOCH'), currentEpoch: epoch, lastZxid: zxid, appliedZxid: zxid,
    history: fc.uniqueArray(fc.record({ epoch, lastZxid: zxid }), { selector: (end) => end.epoch, maxLength: 5 }).map((ends) => ends.toSorted((a, b) => a.epoch - b.epoch)),
  }),
  fc.record({ type: fc.constantFrom('ACK' as const, 'TRUNC' as const, 'COMMIT' as const, 'UPTODATE' as const), zxid }),
  fc.record({ type: fc.constantFrom('PING' as const, 'PONG' as const), round: natural }),
  fc.record({ type: type('LEADERINFO'), epoch, originId: fc.integer({ min: 1, max: 1000 }) }),
  fc.record({ type: type('DIFF') }),
  fc.record({ type: type('SNAP'), baseZxid: zxid }),
  fc.record({ type: type('SNAPCHUNK'), entries: fc.array(fc.tuple(fc.string(), bytes), { maxLength: 5 }) }),
  fc.record({ type: type('SNAPEND'), baseZxid: zxid, entryCount: natural }),
  fc.record({ type: type('NEWLEADER'), epoch }),
  fc.tuple(epoch, fc.nat(0xffff), fc.nat(0xffff), bytes).map(([e, first, more, b]) => ({
    type: 'PROPOSAL' as const, group: { firstZxid: makeZxid(e, first), lastZxid: makeZxid(e, first + more), bytes: b },
  })),
  fc.record({ type: type('PIPELINE'), body: fc.oneof(bytes, fc.constant(null), fc.array(fc.oneof(fc.integer(), fc.string(), bytes))) }),
) as fc.Arbitrary<PeerMessage>;

test('what is encoded is decoded again', (t) => {
  fc.assert(fc.property(message, (m) => t.deepEqual(plain(decodePeerMessage(encodePeerMessage(m))), plain(m))), { numRuns: 1000 });
});

test('a PROPOSAL is the msgpack that it says, and its bytes are not copied when decoded', (t) => {
  const bytes = new Uint8Array(100_000).fill(7);
  const frame = encodePeerMessage({ type: 'PROPOSAL', group: { firstZxid: makeZxid(3, 1), lastZxid: makeZxid(3, 9), bytes, decoded: 'stays here' } });
  t.deepEqual(plain(new Packr({ useRecords: false }).unpack(frame)), [15, makeZxid(3, 1), makeZxid(3, 9), [...bytes]]);
  const decoded = decodePeerMessage(frame);
  t.true(decoded.type === 'PROPOSAL' && decoded.group.bytes.buffer === frame.buffer && decoded.group.bytes.length === bytes.length);
  const body = decodePeerMessage(encodePeerMessage({ type: 'PIPELINE', body: bytes }));
  t.true(body.type === 'PIPELINE' && body.body instanceof Uint8Array && body.body.length === bytes.length);
});

const packr = new Packr({ useRecords: false });

test('shapes, types and ranges are checked', (t) => {
  const refused: Record<string, unknown> = {
    'no array': 5, 'an object': { type: 'ACK' }, 'no fields': [], 'unknown type': [99], 'text as type': ['ACK', 1], 'a prototype key as type': ['constructor', 1],
    'a field short': [5], 'a field long': [5, 1, 2], 'negative zxid': [5, -1], 'fraction': [5, 1.5], 'unsafe zxid': [5, 2 ** 53], 'text zxid': [5, '1'], 'NaN': [5, Number.NaN],
    'epoch too large': [13, 2 ** 21], 'sid too large': [3, 256, 0, false], 'flag': [3, 1, 0, 1], 'vote sid': [1, -2, 0, 0, 0, 0], 'state': [1, 1, 0, 0, 0, 3], 'originId 0': [7, 1, 0],
    'history unordered': [4, 1, 1, [[2, 5], [1, 3]], 0], 'history twice': [4, 1, 1, [[2, 5], [2, 6]], 0], 'epoch end of three': [4, 1, 1, [[2, 5, 1]], 0],
    'group backwards': [15, 9, 5, Buffer.of(1)], 'group over epochs': [15, 2 ** 32, 2 ** 33, Buffer.of(1)], 'group bytes as text': [15, 1, 1, 'x'],
    'entry key': [11, [[1, Buffer.of(1)]]], 'entry value': [11, [['a', 'b']]], 'entries': [11, 'x'],
  };
  for (const [what, value] of Object.entries(refused)) {
    const error = t.throws(() => decodePeerMessage(packr.pack(value)), { instanceOf: DreyError }, what);
    t.is(error?.code, 'COORD_PEER_FRAME', what);
  }
});

test('frames that announce more than they hold, nest without end or build more than data are refused before they cost anything', (t) => {
  const bombs: Record<string, Buffer> = {
    'array of 4 G': Buffer.from('ddffffffff', 'hex'), 'array of 30 M': Buffer.from('dd01c9c380', 'hex'), 'map of 4 G': Buffer.from('dfffffffff', 'hex'),
    'binary of 4 G': Buffer.from('c6ffffffff', 'hex'), 'text of 4 G': Buffer.from('dbffffffff', 'hex'), 'deep': Buffer.alloc(100_000, 0x91), 'empty': Buffer.alloc(0),
    'extension': Buffer.from('d40000', 'hex'), 'date': packr.pack(new Date(0)), 'behind': Buffer.from('9102c0', 'hex'), 'reserved': Buffer.from('c1', 'hex'), 'cut': Buffer.from('92', 'hex'),
    'nested arrays of 60 k': Buffer.concat(Array.from({ length: 20_000 }, () => Buffer.from('dcffff', 'hex'))),
  };
  for (const [what, frame] of Object.entries(bombs)) t.throws(() => decodePeerMessage(frame), { instanceOf: DreyError, code: 'COORD_PEER_FRAME' } as never, what);
});

test('random and damaged frames: a message or COORD_PEER_FRAME', (t) => {
  const attempt = (frame: Uint8Array): void => {
    try {
      decodePeerMessage(frame);
    } catch (error) {
      if (!(error instanceof DreyError) || error.code !== 'COORD_PEER_FRAME') throw error;
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), attempt), { numRuns: 3000 });
  fc.assert(
    fc.property(message, fc.nat(), fc.integer({ min: 1, max: 255 }), (m, at, flip) => {
      const frame = Buffer.from(encodePeerMessage(m));
      frame[at % frame.length]! ^= flip;
      attempt(frame);
      attempt(frame.subarray(0, at % frame.length));
    }),
    { numRuns: 1000 },
  );
  t.pass();
});

/** Long bytes are compared as text: ava looks at each element of an array. Nobody sends -0, and it comes as 0. */
const short = (values: unknown): unknown[] => (values as unknown[]).map((each) => (each instanceof Uint8Array ? Buffer.from(each).toString('latin1') : Object.is(each, -0) ? 0 : each));

test('flat arrays have the bytes that msgpackr makes, and are read as it reads them', (t) => {
  const number = fc.oneof(fc.integer(), fc.nat(300), fc.maxSafeNat(), fc.double({ noNaN: true }), fc.integer({ min: -40, max: 0 }));
  const value = fc.oneof(number, fc.boolean(), fc.uint8Array({ maxLength: 300 }), fc.constant(new Uint8Array(70_000)));
  fc.assert(fc.property(fc.array(value, { maxLength: 15 }), fc.nat(8), (values, spare) => {
    const flat = encodeFlat(values, spare) as Buffer;
    const body = flat.subarray(0, flat.length - spare);
    t.deepEqual(short(decodeMsgpack(body, 'X')), short(values));
    t.deepEqual(short(decodeFlat(body)), short(values));
    const packed = encodeMsgpack(values);
    const read = decodeFlat(packed);
    // Integers that need a sign and more than five bits are left to msgpackr.
    if (read !== null) t.deepEqual(short(read), short(values));
    if (values.every((each) => typeof each !== 'number' || each >= -0x20 || !Number.isInteger(each))) t.is(body.toString('hex'), packed.toString('hex'));
  }), { numRuns: 500 });
  t.is(encodeFlat(['text'], 0), null);
});

test('a flat array that is cut off, or has something behind it, is none', (t) => {
  const frame = encodeFlat([1, 2 ** 40, true, new Uint8Array(20), 70_000, -1], 0) as Buffer;
  for (let end = 0; end < frame.length; end++) t.is(decodeFlat(frame.subarray(0, end)), null);
  t.is(decodeFlat(Buffer.concat([frame, Buffer.of(0)])), null);
});
