/**
 * Real Java parts for tests, benchmarks and `npm run kafka`: jars come from Maven by a pinned pom.xml and are cached outside the
 * repository, under $DREY_CACHE or ~/.cache/drey, in a folder named after the artifact and the hash of its pom.
 */
import { createHash } from 'node:crypto';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';

export type Progress = (line: string) => void;

/** Something that this machine does not have: the message is one line that says what and how to get it. */
export class RealPartMissing extends Error {
  override name = 'RealPartMissing';
}

export function cacheDir(): string {
  return process.env['DREY_CACHE'] ?? join(homedir(), '.cache', 'drey');
}

/** Throws RealPartMissing when there is no Java of at least `major`. */
export function requireJava(major = 17): void {
  const run = spawnSync('java', ['-version'], { encoding: 'utf8' });
  if (run.error || run.status !== 0) {
    throw new RealPartMissing(`java is not on the PATH: install a Java runtime, version ${major} or newer (e.g. apt-get install default-jre-headless)`);
  }
  const found = /version "(?:1\.)?(\d+)/.exec(run.stderr + run.stdout)?.[1];
  if (found !== undefined && Number(found) < major) throw new RealPartMissing(`java is version ${found}, version ${major} or newer is needed`);
}

/**
 * The class path of the artifacts that `<pomDir>/pom.xml` pins: a folder with our logging configuration, then all jars. Downloads them at
 * first use and says how far it is. Throws RealPartMissing when Java, Maven or an artifact cannot be had.
 */
export async function mavenClassPath(pomDir: string, progress: Progress = stderrProgress): Promise<string> {
  requireJava();
  const pom = readFileSync(join(pomDir, 'pom.xml'));
  const hash = createHash('sha256').update(pom).digest('hex').slice(0, 12);
  const home = join(cacheDir(), `${basename(pomDir)}-${hash}`);
  if (!existsSync(home)) await download(pomDir, home, progress);
  return [home, join(home, 'lib', '*')].join(delimiter);
}

/** What tests call in their first line: the reason to skip, or null. With DREY_CI=1 a missing part is a failure. */
export async function realPart(pomDir: string): Promise<string | null> {
  try {
    await mavenClassPath(pomDir);
    return null;
  } catch (error) {
    if (!(error instanceof RealPartMissing) || process.env['DREY_CI'] === '1') throw error;
    return error.message;
  }
}

export function stderrProgress(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function download(pomDir: string, home: string, progress: Progress): Promise<void> {
  const what = basename(pomDir);
  if (spawnSync('mvn', ['--version']).status !== 0) {
    throw new RealPartMissing(`mvn is not on the PATH and the jars of ${what} are not in ${cacheDir()}: install Maven (e.g. apt-get install maven)`);
  }
  // Built beside its place and renamed, so that a cut download is never taken for a whole one and two processes may race.
  const fresh = `${home}.${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  progress(`${what}: downloading its jars by Maven to ${home} (once)`);
  const args = ['-B', '-f', join(pomDir, 'pom.xml'), 'dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${join(fresh, 'lib')}`];
  const mvn = spawn('mvn', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let fetched = 0;
  let saidAt = Date.now();
  const tail: string[] = [];
  createInterface({ input: mvn.stdout }).on('line', (line) => {
    if (line.includes('Downloaded from')) fetched++;
    else if (line.includes('ERROR')) tail.push(line);
    if (Date.now() - saidAt >= 2000) {
      saidAt = Date.now();
      progress(`${what}: ${fetched} files fetched`);
    }
  });
  mvn.stderr.resume();
  const code = await new Promise<number | null>((resolve) => mvn.on('close', resolve));
  if (code !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    throw new RealPartMissing(`Maven could not fetch ${what}: ${tail[0] ?? `mvn ended with status ${code}`}`);
  }
  writeFileSync(join(fresh, 'simplelogger.properties'), 'org.slf4j.simpleLogger.defaultLogLevel=warn\norg.slf4j.simpleLogger.showDateTime=true\n');
  const jars = readdirSync(join(fresh, 'lib')).length;
  try {
    renameSync(fresh, home);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(home)) throw error;
  }
  progress(`${what}: ${jars} jars ready`);
}
