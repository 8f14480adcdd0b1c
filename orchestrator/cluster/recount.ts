/**
 * Counts the words of the input again, independently of the job: no operator, window or connector of the runtime is used here. Then compares
 * with what the job wrote.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface WordCount {
  readonly word: string;
  readonly windowStart: number;
  readonly count: number;
}
export interface Comparison {
  /** Words in the input. */
  readonly records: number;
  /** (word, window) of the input. */
  readonly expected: number;
  /** Expected ones of which the last value is missing or wrong, and unexpected ones. */
  readonly lost: number;
  /** Values beyond the first of each (word, window). */
  readonly duplicated: number;
  readonly examples: readonly string[];
}

const WINDOW_MS = 1000;

export class Recount {
  readonly #counts = new Map<string, number>();
  records = 0;

  addLine(line: string): void {
    const space = line.indexOf(' ');
    const start = Math.floor(Number(line.slice(0, space)) / WINDOW_MS) * WINDOW_MS;
    for (const word of line.slice(space + 1).toLowerCase().match(/\p{L}+/gu) ?? []) {
      const key = `${start} ${word}`;
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
      this.records++;
    }
  }
  addDirectory(dir: string): void {
    for (const name of readdirSync(dir)) for (const line of readFileSync(join(dir, name), 'utf8').split('\n')) if (line !== '') this.addLine(line);
  }

  compare(output: Iterable<WordCount>): Comparison {
    const last = new Map<string, number>();
    let duplicated = 0;
    for (const { word, windowStart, count } of output) {
      const key = `${windowStart} ${word}`;
      if (last.has(key)) duplicated++;
      last.set(key, count);
    }
    let lost = 0;
    const examples: string[] = [];
    for (const [key, count] of this.#counts) {
      if (last.get(key) === count) continue;
      lost++;
      if (examples.length < 5) examples.push(`${key}: ${last.get(key) ?? 'missing'} instead of ${count}`);
    }
    for (const key of last.keys()) {
      if (this.#counts.has(key)) continue;
      lost++;
      if (examples.length < 5) examples.push(`${key}: unexpected`);
    }
    return { records: this.records, expected: this.#counts.size, lost, duplicated, examples };
  }
}

/** What a file sink has committed: names that begin with a dot are not. */
export function* committedCounts(dir: string): Iterable<WordCount> {
  let names: string[];
  try {
    names = readdirSync(dir).filter((name) => !name.startsWith('.')).sort();
  } catch {
    return;
  }
  for (const name of names) for (const line of readFileSync(join(dir, name), 'utf8').split('\n')) if (line !== '') yield JSON.parse(line) as WordCount;
}
