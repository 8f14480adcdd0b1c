/** Tests in a browser say loudly that they were skipped where there is none; in CI that is a failure. */
import type { TestFn } from 'ava';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where Chromium is: $CHROMIUM, or one of its names in the PATH; null: nowhere. */
function findChromium(): string | null {
  const { CHROMIUM, PATH = '' } = process.env;
  if (CHROMIUM !== undefined) return existsSync(CHROMIUM) ? CHROMIUM : null;
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];
  return PATH.split(delimiter).flatMap((dir) => names.map((name) => join(dir, name))).find((path) => existsSync(path)) ?? null;
}

/** The browser's path. Null: a test that says what is missing was put in the place of those to come; it fails where DREY_CI is set. */
export function chromiumOrSkip(test: TestFn, what: string): string | null {
  const path = findChromium();
  if (path !== null) return path;
  const missing = 'no chromium in the PATH; $CHROMIUM may name one';
  if (process.env['DREY_CI'] === '1') test(what, (t) => t.fail(missing));
  else test.skip(`${what} (not run: ${missing})`, (t) => t.pass());
  return null;
}
