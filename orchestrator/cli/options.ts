/** Options that several commands of the orchestrator have. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InvalidArgumentError } from 'commander';
import { connect } from '../../coord/client/index.ts';
import type { CoordClient } from '../../coord/client/index.ts';
import { DreyError } from '../../coord/base/errors.ts';

/** Where `drey server` listens unless told otherwise. */
export const DEFAULT_COORD = '127.0.0.1:2181';
export const coordHelp = 'connect string of the ensemble: host:port,…[/chroot], with zk:// (the default) or drey:// before it';
export const storageHelp = 'where bundles and checkpoints are: a directory, or a file: URL, that all masters and workers reach under the same name';

/** For everything on one machine, by one user. */
export function defaultStorage(): string {
  return pathToFileURL(join(homedir(), '.drey', 'storage')).href;
}

/** A plain path is taken for a directory. */
export function storageUrl(text: string): string {
  return /^[a-z][a-z0-9+.-]*:/i.test(text) ? text : pathToFileURL(resolve(text)).href;
}

export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < min || value > max) throw new InvalidArgumentError(`It must be a whole number from ${min}${max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`}.`);
    return value;
  };
}

/** Connects for one command: an ensemble that cannot be reached is told as such. */
export async function connectForCommand(coord: string): Promise<CoordClient> {
  try {
    return await connect(coord, { connectTimeoutMs: 5000 });
  } catch (error) {
    throw new DreyError('COORD_UNREACHABLE', `no server of ${coord} answers: start one with \`drey server zoo.cfg\`, or name another ensemble with --coord (${(error as Error).message})`, { cause: error });
  }
}
