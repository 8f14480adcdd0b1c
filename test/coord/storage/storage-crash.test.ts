import test from 'ava';
import fc from 'fast-check';
import { StorageModel, type Command } from './storage-model.ts';
import { VirtualDisk } from './virtual-disk.ts';

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant('groups' as const), sizes: fc.array(fc.oneof({ weight: 9, arbitrary: fc.nat(400) }, { weight: 1, arbitrary: fc.nat(9000) }), { minLength: 1, maxLength: 5 }) }) },
  { weight: 2, arbitrary: fc.constant<Command>({ type: 'epoch' }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('truncate' as const), back: fc.nat(4) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('snapshot' as const), entries: fc.nat(30), groups: fc.nat(3), sameTurn: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('flush' as const), keys: fc.array(fc.nat(20), { maxLength: 6 }) }) },
  { weight: 2, arbitrary: fc.constant<Command>({ type: 'purge' }) },
  { weight: 8, arbitrary: fc.record({ type: fc.constant('steps' as const), n: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 1, arbitrary: fc.constant<Command>({ type: 'settle' }) },
  { weight: 3, arbitrary: fc.constant<Command>({ type: 'crash' }) },
  { weight: 2, arbitrary: fc.constant<Command>({ type: 'kill' }) },
  { weight: 1, arbitrary: fc.constant<Command>({ type: 'stop' }) },
);
const fault: fc.Arbitrary<Command> = fc.oneof(
  { weight: 12, arbitrary: command },
  { weight: 1, arbitrary: fc.constant<Command>({ type: 'failWrite' }) },
  { weight: 1, arbitrary: fc.constant<Command>({ type: 'failBatch' }) },
);

function run(seed: number, commands: readonly Command[]): StorageModel {
  const model = new StorageModel(new VirtualDisk(seed));
  for (const one of commands) model.do(one);
  model.do({ type: 'crash' });
  model.do({ type: 'groups', sizes: [10] });
  model.do({ type: 'settle' });
  return model;
}

const RUNS = Number(process.env['DREY_STORAGE_RUNS'] ?? 600);

test('after any sequence of ops and crashes, what was acknowledged is there and what was truncated is not', (t) => {
  const seen = { crashes: 0, cut: 0, kept: 0, installs: 0, failures: 0 };
  fc.assert(
    fc.property(fc.nat(), fc.array(command, { maxLength: 60 }), (seed, commands) => {
      const model = run(seed, commands);
      for (const key of Object.keys(seen) as (keyof typeof seen)[]) seen[key] += model.seen[key];
    }),
    { numRuns: RUNS },
  );
  t.log(seen);
  // The property is worth something only if crashes found work in flight, cut some of it and kept some.
  t.true(seen.cut > 20 && seen.kept > 20 && seen.installs > 10);
});

test('the same with writes that fail', (t) => {
  let failures = 0;
  fc.assert(
    fc.property(fc.nat(), fc.array(fault, { maxLength: 60 }), (seed, commands) => {
      failures += run(seed, commands).seen.failures;
    }),
    { numRuns: RUNS },
  );
  t.log({ failures });
  t.true(failures > 10);
});
