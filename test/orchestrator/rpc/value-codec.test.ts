import fc from 'fast-check';
import test from 'ava';
import { decode, encode } from '../../../orchestrator/rpc/value-codec.ts';

test('what is encoded is decoded the same', (t) => {
  // msgpack has no -0.
  const values = [fc.boolean(), fc.integer(), fc.double().map((n) => n + 0), fc.string(), fc.constant(null), fc.constant(undefined)];
  const anything = fc.anything({ values, key: fc.oneof(fc.string(), fc.constantFrom('__proto__', '__proto_', 'constructor', 'toString')), withBigInt: true, withDate: true, withMap: true, withSet: true, maxDepth: 4 });
  fc.assert(fc.property(anything, (value) => { t.deepEqual(decode(encode(value)), value); }), { numRuns: 500 });
});

test('a key named __proto__ comes back as that key, however deep, and sets no prototype', (t) => {
  for (const json of ['{"__proto__":1}', '{"a":[{"__proto__":{"__proto__":null},"b":1}]}', '{"__proto__":{"polluted":true}}', '{"text":"__proto__"}', '{"__proto_":1,"__proto__":2}']) {
    const value: unknown = JSON.parse(json);
    t.is(JSON.stringify(decode(encode(value))), json);
    const [[key, set] = []] = [...(decode(encode(new Map([[value, new Set([value])]]))) as Map<unknown, Set<unknown>>)];
    t.deepEqual([JSON.stringify(key), JSON.stringify([...(set ?? [])])], [json, `[${json}]`]);
  }
  const { polluted } = decode(encode(JSON.parse('{"__proto__":{"polluted":true}}'))) as { polluted?: boolean };
  t.is(polluted, undefined);
});

test('what stands beside a key named __proto__ keeps its type', (t) => {
  const beside = { at: new Date(7), big: 2n ** 80n, bytes: new Uint8Array([1, 2]), none: undefined, pattern: /a+/g, map: new Map([[1, new Set(['x'])]]) };
  const value = Object.fromEntries([['__proto__', 'own'], ...Object.entries(beside)]) as unknown;
  const back = decode(encode(value)) as typeof beside;
  t.deepEqual(Object.entries(back), [['__proto__', 'own'], ...Object.entries(beside)]);
});
