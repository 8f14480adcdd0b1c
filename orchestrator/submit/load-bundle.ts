/**
 * Evaluates a job's bundle: CommonJS text, in this process, with 'drey' and 'drey/connectors' being the modules that are loaded here anyway
 * and nothing else but node's own modules. Stacks of the user's code name places in the user's source, by the source map in the bundle.
 */
import { writeSync } from 'node:fs';
import { createRequire, isBuiltin, Module } from 'node:module';
import * as connectors from '../../connectors/index.ts';
import { DreyError } from '../../coord/base/errors.ts';
import { BUNDLE_ROOT, firstForeignFrame } from '../api/call-site.ts';
import * as api from '../api/index.ts';
import type { JobDefinition } from '../api/job.ts';
import { isJobDefinition } from '../api/job.ts';

const nodeRequire = createRequire(import.meta.url);

interface CompilableModule {
  exports: unknown;
  filename: string;
  paths: string[];
  require: (id: string) => unknown;
  _compile(text: string, filename: string): void;
}

/** With the module object: node forgets a module's source map when the object is collected. */
const loaded = new Map<string, { readonly definition: JobDefinition; readonly module: unknown }>();

/** `hash`: sha256 of the bytes, which the caller has checked; `name`: of the file, for errors. Evaluated once per process. Throws DreyError JOB_BUNDLE. */
export function loadBundle(bytes: Uint8Array, hash: string, name = 'the file'): JobDefinition {
  const known = loaded.get(hash);
  if (known !== undefined) return known.definition;
  const module = evaluate(Buffer.from(bytes).toString('utf8'), hash, name);
  const exported = module.exports as { default?: unknown } | null | undefined;
  const definition = exported?.default ?? exported;
  if (!isJobDefinition(definition)) throw new DreyError('JOB_BUNDLE', `${name} does not export a job: write \`export default job('name', (env, params) => { … })\``);
  loaded.set(hash, { definition, module });
  return definition;
}

function evaluate(text: string, hash: string, name: string): CompilableModule {
  // The loader reads the source map while it compiles; node maps stacks of other modules only if they carry maps, too.
  process.setSourceMapsEnabled(true);
  const filename = `${BUNDLE_ROOT}${hash.slice(0, 12)}/bundle.cjs`;
  const module = new Module(filename) as unknown as CompilableModule;
  module.filename = filename;
  module.paths = [];
  module.require = (id) => {
    if (id === 'drey') return api;
    if (id === 'drey/connectors') return connectors;
    if (isBuiltin(id)) return nodeRequire(id);
    throw new DreyError('JOB_BUNDLE', `the job requires ${JSON.stringify(id)} at run time, which is not in its bundle`);
  };
  // Nobody must take a process that the module ended for a job that was submitted.
  const onExit = (): void => {
    writeSync(2, `drey: ${name}: the job's module ended the process (JOB_BUNDLE)\n`);
    process.exitCode = 1;
  };
  process.once('exit', onExit);
  try {
    module._compile(text, filename);
  } catch (error) {
    if (error instanceof DreyError) throw error;
    const place = error instanceof Error ? firstForeignFrame(error.stack ?? '') : null;
    throw new DreyError('JOB_BUNDLE', `${place ?? name}: the job's module threw: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    process.off('exit', onExit);
  }
  return module;
}
