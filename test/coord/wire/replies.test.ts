import test from 'ava';
import fc from 'fast-check';
import { DreyError } from '../../../coord/base/errors.ts';
import { decodeConnectRequest, decodeConnectResponse, encodeConnectRequest, encodeConnectResponse } from '../../../coord/wire/connect.ts';
import { Code, EventType, KeeperState, OpCode } from '../../../coord/wire/codes.ts';
import { JuteReader, JuteWriter } from '../../../coord/wire/jute.ts';
import { decodeReplyBody, decodeReplyHeader, decodeWatcherEvent, encodeReply, encodeWatcherEvent, REPLY_HEADER_BYTES } from '../../../coord/wire/replies.ts';
import type { MultiResult } from '../../../coord/wire/types.ts';
import { anyResult, plain } from './arbitraries.ts';

const hexOf = (write: (writer: JuteWriter) => void): string => {
  const writer = new JuteWriter(0);
  write(writer);
  return writer.view().toString('hex');
};
const spaced = (text: string): string => text.replaceAll(/[\s|]/g, '');

test('what is encoded is decoded again', (t) => {
  fc.assert(
    fc.property(anyResult, fc.integer(), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), ({ op, result }, xid, zxid) => {
      const writer = new JuteWriter();
      encodeReply(writer, xid, zxid, 0, result);
      const frame = writer.view();
      t.is(frame.readInt32BE(0), frame.length - 4);
      const header = { xid: 0, zxid: 0, err: 0 };
      decodeReplyHeader(frame, 4, frame.length, header);
      t.deepEqual(header, { xid, zxid, err: 0 });
      t.deepEqual(plain(decodeReplyBody(op, frame, 4 + REPLY_HEADER_BYTES, frame.length)), plain(result));
    }),
    { numRuns: 500 },
  );
});

test('errors have no body', (t) => {
  t.is(hexOf((w) => encodeReply(w, 5, 0x100000002, Code.NODEEXISTS, null)), spaced('00000010 00000005 0000000100000002 ffffff92'));
  // Unknown op: zxid -1.
  t.is(hexOf((w) => encodeReply(w, 5, -1, Code.UNIMPLEMENTED, null)), spaced('00000010 00000005 ffffffffffffffff fffffffa'));
  const header = { xid: 0, zxid: 0, err: 0 };
  decodeReplyHeader(Buffer.from('00000005ffffffffffffffffffffff92', 'hex'), 0, 16, header);
  t.deepEqual(header, { xid: 5, zxid: -1, err: -110 });
});

test('a failed multi: header 0, one error per op', (t) => {
  const failed = (err: number): MultiResult => ({ op: OpCode.error, err, result: null });
  const results = [failed(0), failed(Code.NONODE), failed(Code.RUNTIMEINCONSISTENCY)];
  t.is(
    hexOf((w) => encodeReply(w, 1, 9, 0, { kind: 'multi', results })).slice(40),
    spaced('ffffffff 00 00000000 00000000 | ffffffff 00 ffffff9b ffffff9b | ffffffff 00 fffffffe fffffffe | ffffffff 01 ffffffff'),
  );
});

test('addWatch answers with an ErrorResponse of 4 bytes', (t) => {
  t.is(hexOf((w) => encodeReply(w, 1, 9, 0, { kind: 'error', err: 0 })), spaced('00000014 00000001 0000000000000009 00000000 00000000'));
});

test('a watch event', (t) => {
  const hex = hexOf((w) => encodeWatcherEvent(w, EventType.NodeDataChanged, KeeperState.SyncConnected, '/a', 0x200000001));
  t.is(hex, spaced('0000001e ffffffff 0000000200000001 00000000 00000003 00000003 00000002 2f61'));
  const frame = Buffer.from(hex, 'hex');
  t.deepEqual(decodeWatcherEvent(frame, 4 + REPLY_HEADER_BYTES, frame.length), { type: 3, state: 3, path: '/a' });
  t.regex(hexOf((w) => encodeWatcherEvent(w, 3, 3, '/a', -1)), /^0000001effffffffffffffffffffffff00000000/);
});

test('the handshake with and without the readOnly byte', (t) => {
  const password = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
  for (const hasReadOnly of [true, false]) {
    const request = { protocolVersion: 0, lastZxidSeen: 0x300000007, timeoutMs: 30_000, sessionId: 0x0100_0000_0000_0001n, password, readOnly: false, hasReadOnly };
    const hex = hexOf((w) => encodeConnectRequest(w, request));
    t.is(hex, spaced(`${hasReadOnly ? '0000002d' : '0000002c'} 00000000 0000000300000007 00007530 0100000000000001 00000010 ${password.toString('hex')} ${hasReadOnly ? '00' : ''}`));
    const frame = Buffer.from(hex, 'hex');
    t.deepEqual(plain(decodeConnectRequest(frame, 4, frame.length)), plain(request));
    const response = { protocolVersion: 0, timeoutMs: 30_000, sessionId: -5n, password, readOnly: false };
    const answer = Buffer.from(hexOf((w) => encodeConnectResponse(w, response, hasReadOnly)), 'hex');
    t.is(answer.readInt32BE(0), hasReadOnly ? 37 : 36);
    t.is(answer.length, 4 + (hasReadOnly ? 37 : 36));
    t.deepEqual(plain(decodeConnectResponse(answer, 4, answer.length)), plain(response));
  }
});

test('an expired session: timeout 0, session 0, a password of zeros', (t) => {
  const gone = { protocolVersion: 0, timeoutMs: 0, sessionId: 77n, password: Buffer.alloc(16, 9), readOnly: false };
  t.is(hexOf((w) => encodeConnectResponse(w, gone, true)), `00000025${'0'.repeat(8)}${'0'.repeat(8)}${'0'.repeat(16)}00000010${'0'.repeat(32)}00`);
});

test('a handshake that is none', (t) => {
  t.is(decodeConnectRequest(Buffer.alloc(20), 0, 20), null);
  t.is(decodeConnectRequest(Buffer.alloc(0), 0, 0), null);
  const odd = Buffer.alloc(28);
  odd.writeInt32BE(-1, 24);
  t.is(decodeConnectRequest(odd, 0, 28)?.password.length, 16, 'a null password is one of zeros');
});

test('strings of every length, ASCII or not', (t) => {
  for (let n = 0; n < 120; n++) {
    for (const unit of ['a', 'ä', '€', '😀']) {
      const value = 'x'.repeat(n) + unit.repeat(n % 7);
      const writer = new JuteWriter(0);
      writer.int(7);
      writer.ustring(value);
      writer.int(8);
      const reader = new JuteReader().reset(writer.view());
      t.is(reader.int(), 7);
      t.is(reader.text(), value);
      t.is(reader.int(), 8);
      t.is(reader.remaining, 0);
    }
  }
});

test('a client that is sent nonsense gets COORD_MARSHALLING and nothing else', (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...Object.values(OpCode)), fc.uint8Array({ maxLength: 200 }), (op, body) => {
      try {
        decodeReplyBody(op, body, 0, body.length);
      } catch (error) {
        if (!(error instanceof DreyError) || error.code !== 'COORD_MARSHALLING') throw error;
      }
      t.pass();
    }),
    { numRuns: 1000 },
  );
});
