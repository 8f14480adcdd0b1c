/** Makes one self-contained CommonJS text of a job's module and all it imports, drey itself and node's modules left out. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Message, Plugin } from 'esbuild';
import { DreyError } from '../../coord/base/errors.ts';

export interface Bundle {
  readonly bytes: Uint8Array;
  /** sha256 of the bytes, hex. */
  readonly hash: string;
}

/** Throws DreyError JOB_BUNDLE naming the place in the user's source. */
export async function bundleJob(file: string): Promise<Bundle> {
  const path = resolve(file);
  if (!existsSync(path)) throw new DreyError('JOB_BUNDLE', `${file} does not exist`);
  const esbuild = await import('esbuild');
  let text: string;
  try {
    const result = await esbuild.build({
      entryPoints: [path],
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node20.19',
      external: ['drey', 'drey/connectors'],
      sourcemap: 'inline',
      write: false,
      // Only names what places are relative to.
      outfile: resolve('bundle.cjs'),
      logLevel: 'silent',
      plugins: [refuseNativeModules],
    });
    text = (result.outputFiles[0] as { text: string }).text;
  } catch (error) {
    const messages = (error as { errors?: Message[] }).errors;
    if (messages === undefined || messages.length === 0) throw new DreyError('JOB_BUNDLE', `${file} cannot be bundled: ${(error as Error).message}`, { cause: error });
    throw new DreyError('JOB_BUNDLE', messages.slice(0, 3).map(describe).join('; '), { cause: error });
  }
  const bytes = Buffer.from(text, 'utf8');
  return { bytes, hash: createHash('sha256').update(bytes).digest('hex') };
}

function describe({ location, text }: Message): string {
  return location === null ? text : `${location.file}:${location.line}:${location.column + 1}: ${text}`;
}

/** A binary cannot travel in a bundle: it is built for one platform and one Node. */
const refuseNativeModules: Plugin = {
  name: 'refuse-native-modules',
  setup(build) {
    build.onResolve({ filter: /\.node$/ }, ({ path, importer }) => ({ errors: [{ text: `${path} (imported by ${importer}) is a native module, which a job cannot carry to its workers` }] }));
    // What native packages ask for their binary with.
    build.onResolve({ filter: /^(bindings|node-gyp-build|prebuild-install|@mapbox\/node-pre-gyp)$/ }, ({ path, importer }) => ({
      errors: [{ text: `${packageOf(importer)} is a native module (it loads a binary through ${path}), which a job cannot carry to its workers` }],
    }));
  },
};

function packageOf(file: string): string {
  const parts = file.split('/node_modules/');
  const inside = parts.length > 1 ? (parts.at(-1) as string).split('/') : undefined;
  if (inside === undefined) return file;
  return (inside[0] as string).startsWith('@') ? inside.slice(0, 2).join('/') : (inside[0] as string);
}
