/** Tests that need Java say loudly that they were skipped without it; in CI its absence is a failure. */
import type { TestFn } from 'ava';
import { spawnSync } from 'node:child_process';

/** True: go on. False: a test that says what is missing was put in the place of those to come. */
export function javaOrSkip(test: TestFn, what: string): boolean {
  if (spawnSync('java', ['-version']).status === 0) return true;
  test(`SKIPPED: ${what}: there is no java on the path`, (t) => {
    if (process.env['DREY_CI'] === '1') t.fail('java is missing, and in CI nothing may be skipped');
    else t.log(`SKIPPED: ${what}: install a Java runtime (17 or later) to run it`);
    t.pass();
  });
  return false;
}
