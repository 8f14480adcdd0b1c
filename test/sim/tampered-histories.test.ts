/** Histories of real runs in which one answer is changed: the checker, which knows of no server, finds every one of them. */
import test from 'ava';
import { Prng } from '../../coord/base/prng.ts';
import { drawPlan } from '../../sim/plan/draw.ts';
import { runPlan } from '../../sim/run/run-plan.ts';
import { tamper, TAMPERINGS } from '../lib/tampered.ts';

const EACH = 3;

for (const [profile, seeds] of [['lite', [2, 6]], ['swarm', [3, 13]], ['client', [5]]] as const) {
  test(`${profile}: a stale read, a lost update, a write that is applied twice`, async (t) => {
    let tampered = 0;
    for (const seed of seeds) {
      const { kind } = await runPlan(drawPlan(profile, { seed: String(seed), servers: 5 }), {
        onHistory: (history, believed) => {
          t.is(history.check(believed).kind, 'ok');
          for (const what of TAMPERINGS) {
            for (let i = 0; i < EACH; i++) {
              const changed = tamper(history, what, new Prng(`${seed}/${what}/${i}`));
              if (changed === null) continue;
              tampered++;
              const found = changed.check(believed);
              t.is(found.kind, 'illegal', `${profile}/${seed}: ${what} ${i} after ${found.steps} steps`);
            }
          }
        },
      });
      t.is(kind, 'ok');
    }
    t.true(tampered >= 2 * seeds.length * EACH, `${tampered} tampered`);
  });
}
