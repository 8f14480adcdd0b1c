/** The scripts of testdata/: each is one conversation, expected word for word. `npm run rewrite -- test/coord/zab/scripts.test.ts` updates. */
import { basename } from 'node:path';
import test from 'ava';
import { describeMismatch, runScript, scripts } from '../../lib/datadriven.ts';
import { Environment } from './environment.ts';

for (const file of scripts(new URL('testdata', import.meta.url).pathname)) {
  test(basename(file, '.txt'), (t) => {
    const environment = new Environment();
    const mismatches = runScript(file, (command) => environment.run(command));
    t.is(mismatches.length, 0, mismatches.map(describeMismatch).join('\n\n'));
  });
}
