/**
 * The output against a model of the job (O3). Results are texts, and each of them is expected once.
 *
 *   DuplicateOutput   a result is committed twice
 *   ForeignOutput     a result is committed that nobody expects
 *   LostOutput        a result is missing when all input has been read
 */
import type { Fail } from '../fail.ts';

export class ExactlyOnceJudge {
  readonly #fail: Fail;
  readonly #guarantee: 'exactly-once' | 'at-least-once';
  readonly #seen = new Set<string>();

  constructor(fail: Fail, guarantee: 'exactly-once' | 'at-least-once') {
    this.#fail = fail;
    this.#guarantee = guarantee;
  }

  get distinct(): number {
    return this.#seen.size;
  }

  has(result: string): boolean {
    return this.#seen.has(result);
  }

  committed(results: Iterable<string>): void {
    for (const result of results) {
      if (this.#seen.has(result) && this.#guarantee === 'exactly-once') this.#fail('DuplicateOutput', `${result} is committed twice`);
      this.#seen.add(result);
    }
  }

  /** All that can come has come. `possible`: what may be there, too: an at-least-once sink shows what no checkpoint came to cover, a late record may find its window open. */
  settled(expected: Iterable<string>, possible: Iterable<string> = []): void {
    const wanted = new Set(expected);
    const known = new Set(possible);
    for (const result of this.#seen) if (!wanted.has(result) && !known.has(result)) return this.#fail('ForeignOutput', `${result} is in the output; the model of the job has no such result`);
    const lost = [...wanted].filter((result) => !this.#seen.has(result));
    if (lost.length > 0) this.#fail('LostOutput', `${lost.length} of ${wanted.size} results are missing: ${lost.slice(0, 3).join(', ')}${lost.length > 3 ? ', …' : ''}`);
  }

  /** All that is expected is there. */
  holds(expected: readonly string[]): boolean {
    return this.#seen.size >= expected.length && expected.every((result) => this.#seen.has(result));
  }
}
