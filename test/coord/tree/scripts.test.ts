import test from 'ava';
import { describeMismatch, runScript, scripts } from '../../lib/datadriven.ts';
import { interpreter } from './script.ts';

const directory = new URL('testdata/', import.meta.url).pathname;
for (const file of scripts(directory)) {
  test(file.slice(directory.length), (t) => {
    const mismatches = runScript(file, interpreter());
    t.deepEqual(mismatches.map(describeMismatch), []);
  });
}
