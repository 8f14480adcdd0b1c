/** `drey sim open`: a recorded run, and if there is one a neighbour of it, as a page in a file. */
import { writeFileSync } from 'node:fs';
import type { Recorded } from '../record/recorded.ts';
import { pageParts } from './bundle.ts';
import { renderPage } from './page.ts';
import type { Neighbour, PageMeta } from './page-data.ts';

/** Writes the page and returns its path. Throws what the file system throws. */
export function writePage(run: Recorded, neighbour: Neighbour | null, meta: PageMeta, path: string): string {
  writeFileSync(path, renderPage({ meta, run, neighbour }, pageParts()));
  return path;
}
