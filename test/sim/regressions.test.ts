/** Seeds that found something, and the scenario: they must hold. Draws may have moved since, so each has a test of its own beside, where one could be written. */
import test from 'ava';
import { drawPlan } from '../../sim/plan/draw.ts';
import { runEnsemblePlan } from '../../sim/run/run-ensemble.ts';

const found: readonly (readonly [scenario: string, servers: number, seed: string, what: string])[] = [
  ['split-brain', 5, '104', 'SYNCED overtook the PROPOSALs that it promises, when the window was full'],
  ['split-brain', 5, '427', 'the same'],
  ['swarm', 5, '1280', 'a SNAP of an earlier leader ended the suspicion between FOLLOWERINFO and ACKEPOCH'],
  ['leader-loss', 5, '1177', 'the same'],
];

for (const [scenario, servers, seed, what] of found) {
  test(`${scenario}, ${servers} servers, seed ${seed}: ${what}`, (t) => {
    t.is(runEnsemblePlan(drawPlan(scenario, { seed, servers })).violation?.message ?? 'none', 'none');
  });
}
