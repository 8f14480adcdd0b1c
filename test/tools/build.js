// Builds dist/: JavaScript, declarations and source maps of everything that ships (not test/), and the page of a simulated run.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';

rmSync('dist', { recursive: true, force: true });
const run = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
if (run.status !== 0) process.exit(run.status ?? 1);

const { bundlePage } = await import('../../dist/sim/view/bundle.js');
const { script, style } = bundlePage('sim/view/page');
mkdirSync('dist/sim/view/page', { recursive: true });
writeFileSync('dist/sim/view/page/main.js', script);
writeFileSync('dist/sim/view/page/page.css', style);
