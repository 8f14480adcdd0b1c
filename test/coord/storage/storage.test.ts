import test from 'ava';
import { Prng } from '../../../coord/base/prng.ts';
import { CrashableJournalFiles } from '../../../sim/doubles/journal-files.ts';
import { CrashableKvStores } from '../../../sim/doubles/kv.ts';
import { testDisk } from './conformance.ts';

testDisk(test, 'doubles', () => {
  const options = { schedule: (_delayMs: number, fn: () => void) => setImmediate(fn), prng: new Prng(1) };
  return { files: new CrashableJournalFiles(options), kvs: new CrashableKvStores(options) };
});
