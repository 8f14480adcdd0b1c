import test from 'ava';
import fc from 'fast-check';
import { Code, OpCode } from '../../../coord/wire/codes.ts';
import { FrameReader } from '../../../coord/wire/frame-reader.ts';
import { JuteWriter } from '../../../coord/wire/jute.ts';
import { decodeRequest, decodeRequestBody, encodeRequest, encodeRequestBody } from '../../../coord/wire/requests.ts';
import { ClientRequest } from '../../../coord/wire/types.ts';
import { anyRequest, plain } from './arbitraries.ts';

function decoded(frame: Buffer): ClientRequest {
  const request = new ClientRequest();
  if (!decodeRequest(frame, 0, frame.length, request)) throw new Error('no header');
  return request;
}
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const withoutBody = (request: ClientRequest): unknown => plain({ ...request, body: null });

test('what is encoded is decoded again, even when it comes byte by byte', (t) => {
  fc.assert(
    fc.property(fc.array(anyRequest, { minLength: 1, maxLength: 4 }), fc.boolean(), (requests, bytewise) => {
      const writer = new JuteWriter(0);
      for (const request of requests) encodeRequest(writer, request);
      const seen: unknown[] = [];
      const reader = new FrameReader(1 << 20, (bytes, start, end) => {
        const request = new ClientRequest();
        t.true(decodeRequest(bytes, start, end, request));
        seen.push(withoutBody(request.clone()));
        return true;
      });
      const stream = writer.take();
      if (bytewise) for (const byte of stream) t.true(reader.push(Buffer.of(byte)));
      else t.true(reader.push(stream));
      t.deepEqual(seen, requests.map(withoutBody));
      t.is(reader.heldBytes, 0);
    }),
    { numRuns: 200 },
  );
});

test('a body is forwarded as it came, or made anew when there is none', (t) => {
  fc.assert(
    fc.property(anyRequest, (request) => {
      const body = encodeRequestBody(request);
      const again = new ClientRequest();
      decodeRequestBody(request.op, body, again);
      t.deepEqual(withoutBody(again), withoutBody(Object.assign(request.clone(), { xid: 0 })));
      t.deepEqual([...encodeRequestBody(again)], [...body]);
    }),
  );
});

test('frames as ZooKeeper clients send them', (t) => {
  // zkCli: create /a "hi" world:anyone, persistent.
  const create = decoded(hex('00000001 00000001 00000002 2f61 00000002 6869 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00000000'));
  t.like(create, { xid: 1, op: OpCode.create, path: '/a', flags: 0, malformed: 0, acl: [{ perms: 31, scheme: 'world', id: 'anyone' }] });
  t.is(Buffer.from(create.data!).toString(), 'hi');
  // Kafka: create with null data inside a multi, then a check.
  const multi = decoded(hex(`
    00000007 0000000e
    00000001 00 ffffffff  00000002 2f61 ffffffff 00000000 00000001
    0000000d 00 ffffffff  00000002 2f62 00000003
    ffffffff 01 ffffffff`));
  t.is(multi.malformed, 0);
  t.deepEqual(multi.ops!.map(({ op, path, data, flags, version, acl }) => ({ op, path, data, flags, version, acl })), [
    { op: OpCode.create, path: '/a', data: null, flags: 1, version: -1, acl: [] },
    { op: OpCode.check, path: '/b', data: null, flags: 0, version: 3, acl: null },
  ]);
  // Java: ping.
  t.like(decoded(hex('fffffffe 0000000b')), { xid: -2, op: OpCode.ping, malformed: 0 });
  // Java: addauth digest u:p.
  const auth = decoded(hex('fffffffc 00000064 00000000 00000006 646967657374 00000003 753a70'));
  t.like(auth, { xid: -4, op: OpCode.auth, scheme: 'digest' });
  // setWatches with a relativeZxid beyond our range saturates.
  const watches = decoded(hex('fffffff8 00000065 7fffffffffffffff 00000001 00000002 2f61 00000000 00000000'));
  t.like(watches, { relativeZxid: Number.MAX_SAFE_INTEGER, dataWatches: ['/a'], malformed: 0 });
});

test('malformed bodies are data', (t) => {
  const malformed = (text: string): number => decoded(hex(text)).malformed;
  t.is(malformed('00000001 00000004'), Code.MARSHALLINGERROR, 'getData without a body');
  t.is(malformed('00000001 00000004 ffffffff 00'), Code.MARSHALLINGERROR, 'null path');
  t.is(malformed('00000001 00000004 7fffffff 2f'), Code.MARSHALLINGERROR, 'a string longer than the frame');
  t.is(malformed('00000001 00000004 80000000 2f'), Code.MARSHALLINGERROR, 'a negative length');
  t.is(malformed('00000001 00000065 0000000000000000 7fffffff 00000000 00000000'), Code.MARSHALLINGERROR, 'a vector longer than the frame');
  t.is(malformed('00000001 0000000e 00000001 00 ffffffff'), Code.MARSHALLINGERROR, 'a multi that ends early');
  t.is(malformed('00000001 0000000e 00000004 00 ffffffff 00000001 2f 00 ffffffff 01 ffffffff'), Code.MARSHALLINGERROR, 'a read in a multi');
  t.is(malformed('00000001 00000016 00000002 00 ffffffff 00000001 2f 00000000 ffffffff 01 ffffffff'), Code.MARSHALLINGERROR, 'a write in a multiRead');
  t.is(malformed('00000001 0000002a 01020304'), Code.UNIMPLEMENTED, 'an unknown opcode');
  t.is(malformed('00000001 00000014 00000001 2f'), Code.UNIMPLEMENTED, 'deleteContainer is the server\'s own');
  t.is(malformed('00000001 fffffff6'), Code.UNIMPLEMENTED, 'createSession comes by the handshake only');
  t.is(malformed('00000001 0000000e ffffffff 01 ffffffff'), 0, 'an empty multi is legal');
  t.false(decodeRequest(hex('00000001000000'), 0, 7, new ClientRequest()));
});

test('a reused request keeps nothing of the one before', (t) => {
  fc.assert(
    fc.property(anyRequest, anyRequest, (first, second) => {
      const writer = new JuteWriter();
      const reused = new ClientRequest();
      for (const request of [first, second]) {
        writer.clear();
        encodeRequest(writer, request);
        decodeRequest(writer.view(), 4, writer.length, reused);
      }
      t.deepEqual(withoutBody(reused), withoutBody(second));
    }),
  );
});

test('random bytes end in malformed at worst', (t) => {
  const request = new ClientRequest();
  const ops = Object.values(OpCode);
  fc.assert(
    fc.property(fc.constantFrom(...ops), fc.uint8Array({ maxLength: 300 }), (op, tail) => {
      const frame = Buffer.alloc(8 + tail.length);
      frame.writeInt32BE(op, 4);
      frame.set(tail, 8);
      t.true(decodeRequest(frame, 0, frame.length, request));
      t.true(request.malformed === 0 || request.malformed === Code.MARSHALLINGERROR || request.malformed === Code.UNIMPLEMENTED);
    }),
    { numRuns: 2000 },
  );
});

test('cut and flipped frames are decoded to something or malformed', (t) => {
  fc.assert(
    fc.property(anyRequest, fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), (request, cut, at, flip) => {
      const writer = new JuteWriter();
      encodeRequest(writer, request);
      const frame = Buffer.from(writer.view().subarray(4));
      const whole = frame.subarray(0, 8 + (cut % (frame.length - 7)));
      whole[at % whole.length]! ^= flip;
      t.true(decodeRequest(whole, 0, whole.length, new ClientRequest()));
    }),
    { numRuns: 1000 },
  );
});
