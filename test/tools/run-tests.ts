/** `npm test [-- ava's arguments]`: checks the Node that runs us, then all of ava's tests. Real parts that are missing are named, not hidden. */
import { spawnSync } from 'node:child_process';

const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  console.error(`The tests run the TypeScript sources and need Node 24, which \`npm install\` brings; this is ${process.version}. Run them with \`npm test\`.`);
  process.exit(1);
}
for (const [command, what] of [['java', 'Apache ZooKeeper, Apache Kafka and the JVM clients'], ['mvn', 'Apache ZooKeeper and Apache Kafka'], ['python3', 'kazoo']] as const) {
  if (spawnSync(command, ['--version'], { stdio: 'ignore' }).error) console.error(`NOTE: ${command} is missing: tests against ${what} will be skipped.`);
}
const run = spawnSync(process.execPath, ['node_modules/ava/entrypoints/cli.mjs', ...process.argv.slice(2)], { stdio: 'inherit' });
process.exit(run.status ?? 1);
