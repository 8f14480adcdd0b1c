/**
 * Appends to the journal on a real disk: `node test/bench/journal.ts [directory]`. Groups of 50 txns of 150 bytes, one group per persist
 * call, with 1 to 16 calls outstanding.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeJournalFiles } from '../../coord/adapters/journal-files.ts';
import { LevelKvStores } from '../../coord/adapters/level-kv.ts';
import { systemClock } from '../../coord/adapters/system-ports.ts';
import { makeZxid } from '../../coord/base/zxid.ts';
import { Storage } from '../../coord/storage/storage.ts';

const TXNS = 50;
const TXN_BYTES = 150;
const SECONDS = 3;

const dir = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'drey-bench-'));
const storage = new Storage(new NodeJournalFiles(join(dir, 'journal')), new LevelKvStores(dir), { clock: systemClock });
await new Promise<void>((resolve, reject) => storage.open((error) => (error === null ? resolve() : reject(error))));

const bytes = new Uint8Array(TXNS * TXN_BYTES).fill(7);
let seq = 0;
let counter = 0;
for (const outstanding of [1, 2, 4, 16]) {
  const before = storage.stats();
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  const latencies: number[] = [];
  let groups = 0;
  await new Promise<void>((resolve, reject) => {
    let open = 0;
    const next = (): void => {
      if (performance.now() - began > SECONDS * 1000) {
        if (open === 0) resolve();
        return;
      }
      const firstZxid = makeZxid(1, counter + 1);
      counter += TXNS;
      const at = performance.now();
      open++;
      storage.persist([{ seq: ++seq, op: { type: 'group', group: { firstZxid, lastZxid: makeZxid(1, counter), bytes } } }], (error) => {
        if (error !== null) return reject(error);
        open--;
        groups++;
        latencies.push(performance.now() - at);
        next();
      });
    };
    for (let i = 0; i < outstanding; i++) next();
  });
  const seconds = (performance.now() - began) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const after = storage.stats();
  latencies.sort((a, b) => a - b);
  const at = (p: number): string => (latencies[Math.floor(latencies.length * p)] ?? 0).toFixed(2);
  console.log(
    `${String(outstanding).padStart(2)} outstanding: ${Math.round((groups * TXNS) / seconds)} txns/s, ${Math.round(groups / seconds)} groups/s, ` +
      `${Math.round((after.journalWrites - before.journalWrites) / seconds)} writes/s, ${((groups * TXNS * TXN_BYTES) / seconds / 1e6).toFixed(1)} MB/s, ` +
      `ms p50 ${at(0.5)} p99 ${at(0.99)} max ${at(1 - 1e-9)}, cpu ${Math.round(((cpu.user + cpu.system) / 1e6 / seconds) * 100)} %`,
  );
  await new Promise<void>((resolve, reject) =>
    storage.flush({ puts: [], dels: [] }, storage.lastDurableZxid, (error) => (error === null ? resolve() : reject(error))),
  );
  storage.purge(Infinity);
}
await new Promise<void>((resolve) => storage.close(() => resolve()));
rmSync(dir, { recursive: true });
