/** Applies a mutant to the source that this process loads from now on. What was loaded before stays as it is, so the simulator is imported afterwards. */
import module from 'node:module';
import { DreyError } from '../../coord/base/errors.ts';
import { loaded } from './loaded.ts';
import { patch, type Mutant } from './mutant.ts';

/** Throws a DreyError where there is no source: in an installed package, or on a Node that strips no types. */
export function loadMutant(mutant: Mutant): void {
  if (!import.meta.url.endsWith('.ts') || typeof module.registerHooks !== 'function') throw new DreyError('SIM_NO_SOURCE', 'mutants are patches of the source: run them in a checkout, with a Node that runs TypeScript');
  const root = new URL('../../', import.meta.url).href;
  const files = new Set(mutant.edits.map(({ file }) => file));
  loaded.mutant = mutant.name;
  module.registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const file = url.startsWith(root) ? url.slice(root.length) : '';
      if (!files.has(file)) return loaded;
      return { ...loaded, source: patch(mutant, file, String(loaded.source instanceof Uint8Array ? Buffer.from(loaded.source) : loaded.source)) };
    },
  });
}
