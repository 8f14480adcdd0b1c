import test from 'ava';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { Code, OpCode } from '../../../coord/wire/codes.ts';
import {
  decodeNativeConnect, decodeNativeConnected, decodeNativeEvent, decodeNativeReply, decodeNativeRequest, decodeNativeResult, encodeNativeConnect,
  encodeNativeConnected, encodeNativeEvent, encodeNativeReply, encodeNativeRequest,
} from '../../../coord/wire/native.ts';
import { ClientRequest } from '../../../coord/wire/types.ts';
import { anyRequest, anyResult, plain } from './arbitraries.ts';

const packr = new Packr({ useRecords: false });

test('requests: what is encoded is decoded again, into a request that was used before', (t) => {
  const reused = new ClientRequest();
  fc.assert(
    fc.property(anyRequest, (request) => {
      t.true(decodeNativeRequest(encodeNativeRequest(request), reused));
      t.deepEqual(plain({ ...reused }), plain({ ...request }));
    }),
    { numRuns: 300 },
  );
});

test('replies: what is encoded is decoded again', (t) => {
  fc.assert(
    fc.property(anyResult, fc.integer({ min: -8, max: 2 ** 31 - 1 }), fc.nat(Number.MAX_SAFE_INTEGER), ({ op, result }, xid, zxid) => {
      const reply = decodeNativeReply(encodeNativeReply(xid, zxid, 0, result));
      t.like(reply, { xid, zxid, err: 0 });
      t.deepEqual(plain(decodeNativeResult(op, reply.fields)), plain(result));
    }),
    { numRuns: 300 },
  );
  t.deepEqual(decodeNativeReply(encodeNativeReply(3, -1, Code.NONODE, null)), { xid: 3, zxid: -1, err: Code.NONODE, fields: [] });
});

test('handshake and events', (t) => {
  const password = new Uint8Array(16).fill(3);
  const request = { protocolVersion: 1, lastZxidSeen: 2 ** 40, timeoutMs: 5000, sessionId: -(2n ** 62n), password, readOnly: false, hasReadOnly: true };
  t.deepEqual(plain(decodeNativeConnect(encodeNativeConnect(request))), plain(request));
  t.is(decodeNativeConnect(packr.pack([0, -10, 2, 0, 5000, 0, password, false])), null, 'another version');
  t.is(decodeNativeConnect(packr.pack([1, 4, '/a', false])), null);
  t.is(decodeNativeConnect(Buffer.of(0xc1)), null);
  const response = { protocolVersion: 0, timeoutMs: 5000, sessionId: 2n ** 62n + 1n, password, readOnly: false };
  t.deepEqual(plain(decodeNativeConnected(encodeNativeConnected(response))), plain(response));
  t.like(decodeNativeConnected(encodeNativeConnected({ ...response, timeoutMs: 0 })), { timeoutMs: 0, sessionId: 0n });
  const event = decodeNativeReply(encodeNativeEvent(3, 3, '/a', 77));
  t.like(event, { xid: -1, zxid: 77, err: 0 });
  t.deepEqual(decodeNativeEvent(event.fields), { type: 3, state: 3, path: '/a' });
});

test('bad input is data, as far as there is an xid to answer', (t) => {
  const request = new ClientRequest();
  const malformed = (value: unknown): number => {
    t.true(decodeNativeRequest(packr.pack(value), request));
    return request.malformed;
  };
  t.is(malformed([1, OpCode.getData]), Code.MARSHALLINGERROR);
  t.is(malformed([1, OpCode.getData, 7, false]), Code.MARSHALLINGERROR);
  t.is(malformed([1, OpCode.setData, '/a', 'text', 0]), Code.MARSHALLINGERROR);
  t.is(malformed([1, OpCode.setData, '/a', null, 2 ** 31]), Code.MARSHALLINGERROR);
  t.is(malformed([1, OpCode.multi, [[OpCode.getData, '/a', false]]]), Code.MARSHALLINGERROR);
  t.is(malformed([1, 999]), Code.UNIMPLEMENTED);
  t.is(malformed([1, OpCode.setData, '/a', null, -1]), 0);
  for (const frame of [Buffer.alloc(0), packr.pack(5), packr.pack([]), packr.pack(['a', 4]), packr.pack([1]), Buffer.from('ddffffffff', 'hex')]) {
    t.false(decodeNativeRequest(frame, request));
  }
});

test('numbers of other clients: 64-bit integers are as good', (t) => {
  const request = new ClientRequest();
  // [1, 101, uint64 5, [], [], []]
  t.true(decodeNativeRequest(Buffer.from('960165cf0000000000000005909090', 'hex'), request));
  t.like(request, { malformed: 0, relativeZxid: 5 });
});

test('random bytes are refused or decoded', (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (frame) => typeof decodeNativeRequest(frame, new ClientRequest()) === 'boolean'), { numRuns: 3000 });
  t.pass();
});
