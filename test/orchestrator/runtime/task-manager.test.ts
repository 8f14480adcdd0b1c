import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { Prng } from '../../../coord/base/prng.ts';
import { committedLines, startWorker, storageIn, submit, temporaryDirectory, TestMaster } from './harness.ts';

const windowed = fileURLToPath(new URL('jobs/windowed.ts', import.meta.url));

/** What jobs/windowed.ts has to write, counted apart from it. */
function recount(count: number): string[] {
  const counts = new Map<string, number>();
  for (let lane = 0; lane < 4; lane++) {
    for (let index = 0; index < count; index++) {
      const prng = new Prng(`windowed/${lane}/${index}`);
      const start = 1_700_000_000_000 + Math.floor((index * 10) / 1000) * 1000;
      for (let left = prng.between(1, 5); left > 0; left--) {
        const key = JSON.stringify({ word: `w${prng.below(50)}`, start });
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
  }
  return [...counts].map(([key, n]) => JSON.stringify({ ...(JSON.parse(key) as object), n })).sort();
}

test('a bounded job runs to its end on two task managers', async (t) => {
  const dir = await temporaryDirectory(t);
  const out = join(dir, 'out');
  const workers = [await startWorker(t, storageIn(dir)), await startWorker(t, storageIn(dir))];
  const master = new TestMaster(t, 1);
  for (const worker of workers) await master.connect(worker);
  await master.deploy(await submit(storageIn(dir), windowed, { out, count: '3000' }), workers, 1, null);
  await master.allInputEnded(2);
  await master.checkpoint(1, { final: true });
  await master.finished();
  t.deepEqual((await committedLines(out)).sort(), recount(3000));
});
