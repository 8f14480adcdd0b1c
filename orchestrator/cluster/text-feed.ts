/**
 * Feeds real text (this package's own pages), line by line and endlessly, as "<ms since 1970> <text>" to whoever takes lines: files that a job
 * tails, or partitions of a topic.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../../' : '../../../', import.meta.url));
const TICK_MS = 20;

function corpus(): string[] {
  const pages = ['README.md', 'LICENSE', ...readdirSync(join(root, 'docs'), { recursive: true }).map(String).filter((name) => name.endsWith('.md')).sort().map((name) => join('docs', name))];
  return pages.flatMap((page) => readFileSync(join(root, page), 'utf8').split('\n')).map((line) => line.trim()).filter((line) => line !== '');
}

/** Takes the lines of one tick for one partition; may be slow. */
export type TakeLines = (partition: number, lines: readonly string[]) => void | Promise<void>;

export class TextFeed {
  readonly #take: TakeLines;
  readonly #partitions: number;
  readonly #linesPerSecond: number;
  readonly #text = corpus();
  #timer: NodeJS.Timeout | null = null;
  #next = 0;
  #owed = 0;
  #lastMs = 0;
  #stopping = false;
  #done: Promise<void> = Promise.resolve();
  lines = 0;

  constructor(partitions: number, linesPerSecond: number, take: TakeLines) {
    this.#partitions = partitions;
    this.#linesPerSecond = linesPerSecond;
    this.#take = take;
  }

  start(): void {
    this.#lastMs = performance.now();
    const tick = (): void => {
      const nowMs = performance.now();
      // After a pause it goes on; it does not catch up.
      this.#owed += (Math.min(nowMs - this.#lastMs, 10 * TICK_MS) * this.#linesPerSecond) / 1000;
      this.#lastMs = nowMs;
      this.#done = this.#write(Math.floor(this.#owed)).finally(() => {
        if (!this.#stopping) this.#timer = setTimeout(tick, TICK_MS);
      });
      this.#owed -= Math.floor(this.#owed);
    };
    tick();
  }

  async #write(count: number): Promise<void> {
    const stamp = Date.now();
    const byPartition: string[][] = Array.from({ length: this.#partitions }, () => []);
    for (let i = 0; i < count; i++) {
      const line = this.#text[this.#next++ % this.#text.length] as string;
      (byPartition[this.lines++ % this.#partitions] as string[]).push(`${stamp} ${line}`);
    }
    for (const [partition, lines] of byPartition.entries()) if (lines.length > 0) await this.#take(partition, lines);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#done;
  }

  /** Stops, and writes one last line without words to each partition, far ahead in event time, so that every window closes. */
  async end(): Promise<void> {
    await this.stop();
    for (let partition = 0; partition < this.#partitions; partition++) await this.#take(partition, [`${Date.now() + 3_600_000} -`]);
  }
}

/** Partitions as files of a directory. */
export function intoFiles(dir: string, partitions: number): { take: TakeLines; close: () => void } {
  mkdirSync(dir, { recursive: true });
  const files = Array.from({ length: partitions }, (_, i) => openSync(join(dir, `part-${i}.txt`), 'a'));
  return {
    take: (partition, lines) => void writeSync(files[partition] as number, `${lines.join('\n')}\n`),
    close: () => {
      for (const file of files) {
        fsyncSync(file);
        closeSync(file);
      }
    },
  };
}
