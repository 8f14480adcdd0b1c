import test from 'ava';
import fc from 'fast-check';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { crc32, crc32OfText } from '../../../coord/storage/crc32.ts';

test('it is the CRC-32 of zlib: of short and of long bytes, of a part of them, and of bytes in two pieces', (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(400), fc.nat(400), (bytes, a, b) => {
    const from = Math.min(a, b, bytes.length);
    const end = Math.min(Math.max(a, b), bytes.length);
    t.is(crc32(bytes), zlibCrc32(bytes));
    t.is(crc32(bytes, from, end), zlibCrc32(bytes.subarray(from, end)));
    t.is(crc32(bytes, end, bytes.length, crc32(bytes, 0, end)), zlibCrc32(bytes));
  }));
});

test('of a text it is that of its UTF-8 bytes', (t) => {
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom('a', '/', '~', '\u007f', '\u0080', 'ß', '€', '😀'), maxLength: 300 }), (text) => t.is(crc32OfText(text), zlibCrc32(text))));
  t.is(crc32OfText('/a/b'.repeat(100)), zlibCrc32('/a/b'.repeat(100)));
});
