/** The page's script and style as texts, minified. A checkout bundles them from sim/view/page; the built package has them ready beside this file (test/tools/build.js). */
import { buildSync } from 'esbuild';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface PageParts {
  readonly script: string;
  readonly style: string;
}

/** Bundles `main.ts` and `page.css` of `dir`. */
export function bundlePage(dir: string): PageParts {
  const { outputFiles } = buildSync({
    entryPoints: [join(dir, 'main.ts'), join(dir, 'page.css')], outdir: dir, write: false, bundle: true, minify: true, format: 'iife', target: ['es2022'], charset: 'utf8', legalComments: 'none', logLevel: 'silent',
  });
  const text = (suffix: string): string => outputFiles.find(({ path }) => path.endsWith(suffix))?.text ?? '';
  return { script: text('.js'), style: text('.css') };
}

export function pageParts(): PageParts {
  const page = join(import.meta.dirname, 'page');
  if (import.meta.filename.endsWith('.ts')) return bundlePage(page);
  return { script: readFileSync(join(page, 'main.js'), 'utf8'), style: readFileSync(join(page, 'page.css'), 'utf8') };
}
