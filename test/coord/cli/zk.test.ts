import test from 'ava';
import fc from 'fast-check';
import { formatAcl, formatData, jsonData, parseAcl } from '../../../coord/cli/zk-format.ts';
import { splitWords } from '../../../coord/cli/zk-shell.ts';

test('words as a shell cuts them', (t) => {
  t.deepEqual(splitWords('create  /a "two words" \'and "these"\' \\"x \'\''), ['create', '/a', 'two words', 'and "these"', '"x', '']);
  t.deepEqual(splitWords('set /a "{\\"k\\": 1}"'), ['set', '/a', '{"k": 1}']);
  t.deepEqual(splitWords('   '), []);
  t.is(splitWords('set /a "open'), null);
});

test('ACLs are written as they are read', (t) => {
  t.deepEqual(parseAcl('world:anyone:cdrwa'), [{ perms: 31, scheme: 'world', id: 'anyone' }]);
  t.deepEqual(parseAcl('digest:ann:aGFzaA==:rw,ip:10.0.0.0/8:r'), [{ perms: 3, scheme: 'digest', id: 'ann:aGFzaA==' }, { perms: 1, scheme: 'ip', id: '10.0.0.0/8' }]);
  for (const text of ['', 'world', 'world:anyone', ':x:r', 'world:anyone:q']) t.throws(() => parseAcl(text), undefined, text);
  fc.assert(fc.property(fc.record({ perms: fc.integer({ min: 0, max: 31 }), scheme: fc.constantFrom('world', 'ip', 'digest'), id: fc.stringMatching(/^[a-z0-9:./=+]{1,20}$/) }), (acl) => {
    t.deepEqual(parseAcl(formatAcl(acl)), [acl]);
  }));
});

test('data is shown as text only where it is text', (t) => {
  const bytes = (...all: number[]): Uint8Array => Uint8Array.from(all);
  t.is(formatData(null), 'null');
  t.is(formatData(bytes()), '');
  t.is(formatData(new TextEncoder().encode('käse\n')), 'käse\n');
  t.is(formatData(bytes(0xff, 0x00)), '0xff00');
  t.is(formatData(bytes(0x1b, 0x5b, 0x33)), '0x1b5b33');
  t.deepEqual(jsonData(bytes(0xff)), { base64: '/w==' });
  t.is(jsonData(null), null);
});
