/**
 * `npm test [-- ava's arguments]`: checks the Node that runs us, then all of ava's tests, in two runs: first those that stay within their
 * process, several files at a time; then test/real, which starts servers as processes, one file at a time, since ensembles that starve each
 * other for processors fail for no reason of theirs. With file names among the arguments, one run of just those.
 * Real parts that are missing are named, not hidden.
 */
import { spawnSync } from 'node:child_process';

const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  console.error(`The tests run the TypeScript sources and need Node 24, which \`npm install\` brings; this is ${process.version}. Run them with \`npm test\`.`);
  process.exit(1);
}
for (const [command, what] of [['java', 'Apache ZooKeeper, Apache Kafka and the JVM clients'], ['mvn', 'Apache ZooKeeper and Apache Kafka'], ['python3', 'kazoo'], [process.env['CHROMIUM'] ?? 'chromium', 'the page of a simulated run in a browser']] as const) {
  if (spawnSync(command, ['--version'], { stdio: 'ignore' }).error) console.error(`NOTE: ${command} is missing: tests against ${what} will be skipped.`);
}

const given = process.argv.slice(2);
function ava(...args: string[]): number {
  return spawnSync(process.execPath, ['node_modules/ava/entrypoints/cli.mjs', ...args, ...given], { stdio: 'inherit' }).status ?? 1;
}
const names = given.some((argument) => !argument.startsWith('-'));
const statuses = names ? [ava()] : [ava('test/**/*.test.ts', '!test/real/**'), ava('--concurrency=1', '--timeout=300s', 'test/real/**/*.test.ts')];
process.exit(Math.max(...statuses));
