import test from 'ava';
import { leaderLoss } from '../../sim/scenarios/leader-loss.ts';

const run = (seed: string, servers: number, mutant: string | null = null) => leaderLoss({ seed, servers, mutant, onTrace: null });

test('leader-loss holds on 3 and on 5 servers', (t) => {
  for (const servers of [3, 5]) {
    for (let seed = 1; seed <= 20; seed++) {
      const result = run(`ava-${seed}`, servers);
      t.is(result.violation?.message ?? 'none', 'none', `seed ava-${seed}, ${servers} servers`);
      t.true(result.acked > 50 && result.faults > 3 && result.elections > 1, `seed ava-${seed} did something: ${JSON.stringify({ ...result, recent: [] })}`);
    }
  }
});

test('the same seed gives the same trace, another one another', (t) => {
  const hashes = ['a', 'b', 'c'].map((seed) => [run(seed, 3).traceHash, run(seed, 3).traceHash]);
  for (const [first, second] of hashes) t.is(first, second);
  t.is(new Set(hashes.flat()).size, 3);
});

test('without the sync before ACK it fails, and the seed replays', (t) => {
  const first = run('1', 5, 'drop-the-sync');
  t.is(first.kind, 'safety');
  t.is(first.violation?.invariant, 'QuorumDurability');
  t.is(run('1', 5, 'drop-the-sync').traceHash, first.traceHash);
});
