import fc from 'fast-check';
import test from 'ava';
import { checkKey, keyGroupOf, keyGroupRange, ownerOfKeyGroup } from '../../../orchestrator/state/key-groups.ts';

test('each group has one owner, whose range holds it', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 }), (a, b) => {
      const [parallelism, maxParallelism] = [Math.min(a, b), Math.max(a, b)];
      const owners = Array.from({ length: parallelism }, (_, subtask) => keyGroupRange(subtask, parallelism, maxParallelism)).flatMap(({ first, last }, subtask) =>
        Array.from({ length: last - first + 1 }, () => subtask),
      );
      t.deepEqual(owners, Array.from({ length: maxParallelism }, (_, group) => ownerOfKeyGroup(group, parallelism, maxParallelism)));
    }),
  );
});

test('the group of a key never changes: it stands in checkpoints', (t) => {
  const groups = (['', 'a', 'word', 'ключ', '😀', 0, 1, -1, 1.5, 2 ** 40, Number.NaN, true, false, 5n] as const).map((key) => keyGroupOf(key, 128));
  t.deepEqual(groups, [11, 51, 63, 120, 38, 0, 55, 57, 53, 67, 71, 122, 60, 36]);
  t.is(keyGroupOf(-0, 128), keyGroupOf(0, 128));
});

test('keys are spread evenly', (t) => {
  for (const key of [(i: number) => i, (i: number) => `key-${i}`, (i: number) => `${i}`]) {
    const counts = new Map<number, number>();
    for (let i = 0; i < 12_800; i++) counts.set(keyGroupOf(key(i), 128), (counts.get(keyGroupOf(key(i), 128)) ?? 0) + 1);
    t.is(counts.size, 128);
    t.true(Math.max(...counts.values()) < 200, `${Math.max(...counts.values())}`);
  }
});

test('what cannot be a key is refused', (t) => {
  for (const key of [undefined, null, {}, [], Symbol('x')]) t.throws(() => checkKey(key), { code: 'BAD_KEY' });
});
