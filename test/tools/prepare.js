// Runs as npm's `prepare`: builds dist/ in a checkout. Plain JavaScript, so that the Node that runs npm can parse it
// even when it is older than the one the sources need. In an installed package there is nothing to build.
import { existsSync } from 'node:fs';
import { spawnSync } from 'node:child_process';

if (existsSync('tsconfig.json') && existsSync('node_modules/typescript')) {
  const run = spawnSync(process.execPath, ['test/tools/build.js'], { stdio: 'inherit' });
  process.exit(run.status ?? 1);
}
