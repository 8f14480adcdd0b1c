/** Tests on a real Apache ZooKeeper say loudly that they were skipped where it cannot be had; in CI that is a failure. */
import type { TestFn } from 'ava';
import { realPart } from '../tools/maven.ts';
import { zookeeperPomDir } from '../tools/zookeeper.ts';

/** True: go on. False: a skipped test that says what is missing was put in the place of those to come. */
export async function zookeeperOrSkip(test: TestFn, what: string): Promise<boolean> {
  const missing = await realPart(zookeeperPomDir);
  if (missing === null) return true;
  test.skip(`${what} (not run: ${missing})`, (t) => t.pass());
  return false;
}
