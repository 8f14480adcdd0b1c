/**
 * A job whose attempts end in every way there is (killed worker, cancel, stop, abandoned checkpoints), at random moments and with another
 * parallelism each time; at the end each word must have been counted once. The moments depend on the machine, the choices on the seed.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { Prng } from '../../../coord/base/prng.ts';
import type { Checkpoint, LocalWorker } from './harness.ts';
import { committedLines, startWorker, storageIn, submit, temporaryDirectory, TestMaster } from './harness.ts';
import { difference, recount } from './recount.ts';

const COUNT = 3000;
const jobs = {
  windowed: recount(COUNT),
  passthrough: Array.from({ length: 4 * COUNT }, (_, i) => JSON.stringify({ index: i % COUNT })),
};
const seeds = (process.env['DREY_SEEDS'] ?? '1,2').split(',');

const cases = seeds.flatMap((seed) => Object.entries(jobs).map(([name, expected]) => ({ seed, name, expected })));

for (const { seed, name, expected } of cases) {
  test(`${name}, seed ${seed}`, async (t) => {
    const prng = new Prng(`chaos/${seed}`);
    const file = fileURLToPath(new URL(`jobs/${name}.ts`, import.meta.url));
    const dir = await temporaryDirectory(t);
    const out = join(dir, 'out');
    const master = new TestMaster(t, 1);
    const workers: LocalWorker[] = [];
    const addWorker = async (): Promise<void> => {
      const worker = await startWorker(t, storageIn(dir));
      workers.push(worker);
      await master.connect(worker);
    };
    await addWorker();
    await addWorker();

    let last: Checkpoint | null = null;
    let checkpointId = 0;
    for (let attempt = 1; attempt <= 8; attempt++) {
      const parallelism = prng.between(1, 4);
      const end = attempt === 8 ? 'final' : prng.pick(['kill', 'cancel', 'stop', name === 'windowed' ? 'fence' : 'kill', 'kill'] as const);
      const rate = attempt === 8 ? {} : { rate: String(prng.between(300, 1500)) };
      t.log(`attempt ${attempt}: parallelism ${parallelism}, from checkpoint ${last?.id ?? 'none'}, ends by ${end}`);
      await master.deploy(await submit(storageIn(dir), file, { out, count: String(COUNT), ...rate }, { parallelism }), workers, attempt, last);
      for (let left = prng.below(4); left > 0; left--) {
        await sleep(prng.below(60));
        const id = ++checkpointId;
        if (prng.chance(0.3)) {
          // Given up: before anybody has acked, or after everybody has.
          master.trigger(id);
          if (prng.chance(0.5)) await master.acked(id);
          master.abort(id);
        } else last = await master.checkpoint(id);
      }
      const tasks = master.executionIds;
      switch (end) {
        case 'kill': {
          // With a checkpoint under way, complete or not, and its commits perhaps half done.
          const id = ++checkpointId;
          master.trigger(id);
          if (prng.chance(0.6)) {
            last = await master.acked(id);
            if (prng.chance(0.7)) master.complete(id);
          }
          await sleep(prng.below(20));
          const [killed] = workers.splice(prng.below(workers.length), 1);
          killed?.abandon();
          await addWorker();
          master.cancelAll();
          break;
        }
        case 'cancel':
          master.cancelAll();
          break;
        case 'stop':
          last = await master.checkpoint(++checkpointId, { stop: true });
          if (prng.chance(0.5)) await master.finished();
          else master.cancelAll();
          break;
        case 'fence':
          // Nobody cancels: the next attempt of a subtask ends the older one, and those without a next wait for channels that never come. Where
          // there are no channels a master has to cancel before it triggers again.
          break;
        default:
          await master.allInputEnded();
          await master.checkpoint(++checkpointId, { final: true });
          await master.finished();
      }
      if (end === 'cancel' || end === 'kill') await master.until(() => tasks.every((id) => master.isOver(id, workers)));
    }
    t.deepEqual(difference(await committedLines(out), expected), { missing: [], extra: [] });
  });
}
