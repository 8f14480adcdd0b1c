import test from 'ava';
import fc from 'fast-check';
import { FrameReader } from '../../../coord/wire/frame-reader.ts';

function framed(payloads: readonly Uint8Array[]): Buffer {
  return Buffer.concat(payloads.flatMap((payload) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(payload.length);
    return [length, payload];
  }));
}
const payloadLists = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 12 });

test('any cutting of the stream gives the same frames; a handler may stop after any of them', (t) => {
  fc.assert(
    fc.property(payloadLists, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), fc.array(fc.boolean(), { minLength: 1 }), (payloads, cuts, stops) => {
      const seen: number[][] = [];
      let stopped = false;
      const reader = new FrameReader(100, (bytes, start, end) => {
        t.false(stopped);
        stopped = stops[seen.length % stops.length] as boolean;
        seen.push([...bytes.subarray(start, end)]);
        return !stopped;
      });
      const stream = framed(payloads);
      for (let at = 0, i = 0; at < stream.length; i++) {
        const next = at + (cuts[i % cuts.length] as number);
        t.true(reader.push(stream.subarray(at, next)));
        at = next;
        while (stopped) {
          stopped = false;
          t.true(reader.resume());
        }
      }
      t.deepEqual(seen, payloads.map((payload) => [...payload]));
      t.is(reader.heldBytes, 0);
    }),
    { numRuns: 500 },
  );
});

test('a whole frame is handed on in place', (t) => {
  const chunk = framed([Buffer.from('one'), Buffer.from('two'), Buffer.from('three')]);
  let inPlace = 0;
  const reader = new FrameReader(100, (bytes) => {
    if (bytes.buffer === chunk.buffer) inPlace++;
    return true;
  });
  t.true(reader.push(chunk.subarray(0, chunk.length - 2)));
  t.true(reader.push(chunk.subarray(chunk.length - 2)));
  t.is(inPlace, 2);
});

test('lengths below 0 and above the limit end the stream, however they arrive', (t) => {
  for (const length of [-1, -2_147_483_648, 101, 2_147_483_647]) {
    const head = Buffer.alloc(4);
    head.writeInt32BE(length);
    t.false(new FrameReader(100, () => true).push(head));
    const slow = new FrameReader(100, () => true);
    t.deepEqual([...head].map((byte) => slow.push(Buffer.of(byte))), [true, true, true, false]);
  }
});

test('an announced length costs no memory before its bytes come', (t) => {
  const reader = new FrameReader(1 << 30, () => true);
  const head = Buffer.alloc(5);
  head.writeInt32BE(1 << 30);
  t.true(reader.push(head));
  t.is(reader.heldBytes, 5);
});
