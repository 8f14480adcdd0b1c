/**
 * The names of a znode's children. One Set while they are few, many small ones beyond, so that the growth of a parent with a million children
 * never rehashes more than a few thousand names at once.
 */
import { hashString } from '../base/prng.ts';

export class ChildSet {
  #few: Set<string> | null = new Set();
  #many: Set<string>[] | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(name: string): boolean {
    return this.#setOf(name).has(name);
  }

  add(name: string): void {
    if (this.#few !== null && this.#size >= FEW_MAX) this.#split(this.#few);
    const set = this.#setOf(name);
    const before = set.size;
    set.add(name);
    this.#size += set.size - before;
  }

  delete(name: string): void {
    if (this.#setOf(name).delete(name)) this.#size--;
  }

  *[Symbol.iterator](): IterableIterator<string> {
    if (this.#few !== null) yield* this.#few;
    else for (const set of this.#many as Set<string>[]) yield* set;
  }

  #setOf(name: string): Set<string> {
    if (this.#few !== null) return this.#few;
    const hash = hashString(name);
    return (this.#many as Set<string>[])[(hash ^ (hash >>> 15)) & (MANY - 1)] as Set<string>;
  }

  #split(few: Set<string>): void {
    this.#many = Array.from({ length: MANY }, () => new Set<string>());
    this.#few = null;
    for (const name of few) this.#setOf(name).add(name);
  }
}

const FEW_MAX = 2048;
const MANY = 256;
