import fc from 'fast-check';
import test from 'ava';
import type { Key } from '../../../orchestrator/api/operators.ts';
import { keyGroupOf, keyGroupRange, ownerOfKeyGroup } from '../../../orchestrator/state/key-groups.ts';
import { KeyedState } from '../../../orchestrator/state/keyed-state.ts';
import { decodeStateFile, encodeStateFile } from '../../../orchestrator/state/state-file.ts';

const MAX_PARALLELISM = 16;

function put(state: KeyedState<unknown>, namespace: number, key: Key, value: unknown): void {
  state.values(namespace, key).set(key, value);
}

function all(state: KeyedState<unknown>): [number, Key, unknown][] {
  const entries: [number, Key, unknown][] = [];
  for (const namespace of state.namespaces) state.takeNamespace(namespace, (key, value) => entries.push([namespace, key, value]));
  return entries;
}

const sorted = (entries: [number, Key, unknown][]): string[] => entries.map(([namespace, key, value]) => `${namespace} ${typeof key} ${String(key)} ${JSON.stringify(value)}`).sort();

test('restored with any other parallelism, through a file, every value is where its key goes', (t) => {
  const key = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.double({ noNaN: true }), fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }));
  const entry = fc.tuple(fc.integer({ min: 0, max: 3 }), key, fc.jsonValue());
  fc.assert(
    fc.property(fc.array(entry), fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 16 }), (entries, before, after) => {
      const old = Array.from({ length: before }, (_, subtask) => new KeyedState<unknown>(keyGroupRange(subtask, before, MAX_PARALLELISM), MAX_PARALLELISM));
      for (const [namespace, k, value] of entries) put(old[ownerOfKeyGroup(keyGroupOf(k, MAX_PARALLELISM), before, MAX_PARALLELISM)] as KeyedState<unknown>, namespace, k, value);
      const files = old.map((state) => encodeStateFile(new Map([['op', state.snapshot()]])));
      const restored = Array.from({ length: after }, (_, subtask) => {
        const state = new KeyedState<unknown>(keyGroupRange(subtask, after, MAX_PARALLELISM), MAX_PARALLELISM);
        for (const file of files) state.restore(decodeStateFile(file, 'file').get('op') ?? new Map());
        return state;
      });
      for (const [namespace, k] of entries) t.true(restored[ownerOfKeyGroup(keyGroupOf(k, MAX_PARALLELISM), after, MAX_PARALLELISM)]?.values(namespace, k).has(k));
      t.deepEqual(sorted(restored.flatMap(all)), sorted(old.flatMap(all)));
    }),
    { numRuns: 100 },
  );
});

test('a snapshot is not disturbed by what happens later, not even in place', (t) => {
  const state = new KeyedState<unknown>({ first: 0, last: MAX_PARALLELISM - 1 }, MAX_PARALLELISM);
  const accumulator = { n: 1, words: new Map([['a', new Set([1])]]), at: new Date(5), nothing: undefined };
  put(state, 0, 'k', accumulator);
  const snapshot = state.snapshot();
  accumulator.n = 2;
  accumulator.words.get('a')?.add(2);
  put(state, 0, 'other', 3);
  state.takeNamespace(0, () => undefined);
  const restored = new KeyedState<unknown>(state.range, MAX_PARALLELISM);
  restored.restore(snapshot);
  t.deepEqual(all(restored), [[0, 'k', { n: 1, words: new Map([['a', new Set([1])]]), at: new Date(5), nothing: undefined }]]);
});

test('a key of another subtask is refused', (t) => {
  const state = new KeyedState<unknown>({ first: 0, last: 0 }, MAX_PARALLELISM);
  const foreign = Array.from({ length: 100 }, (_, i) => i).find((i) => keyGroupOf(i, MAX_PARALLELISM) > 0) as number;
  t.throws(() => state.values(0, foreign), { code: 'BAD_KEY' });
});

test('a damaged state file is found out', (t) => {
  const file = encodeStateFile(new Map([['op', new Map([[3, new Uint8Array(100).fill(7)]])]]));
  for (let i = 0; i < file.length; i++) {
    const damaged = Uint8Array.from(file);
    damaged[i] = (damaged[i] as number) ^ 0x10;
    t.throws(() => decodeStateFile(damaged, 'file'), { code: 'STATE_CORRUPT' }, `byte ${i}`);
  }
  t.throws(() => decodeStateFile(file.subarray(0, file.length - 1), 'file'), { code: 'STATE_CORRUPT' });
});
