/** A list that keeps its newest `keep` items at least, and at most twice as many, and counts what it let go. */
export class Newest<T> {
  readonly #keep: number;
  #items: T[] = [];
  #gone = 0;
  /** The newest item that is gone. */
  #lastGone: T | undefined;

  constructor(keep: number) {
    this.#keep = keep;
  }

  /** The number of the item, for `at`. */
  push(item: T): number {
    this.#items.push(item);
    if (this.#items.length > 2 * this.#keep) this.#letGo(this.#items.length - this.#keep);
    return this.#gone + this.#items.length - 1;
  }

  #letGo(count: number): void {
    this.#lastGone = this.#items[count - 1];
    this.#gone += count;
    this.#items = this.#items.slice(count);
  }

  at(number: number): T | undefined {
    return this.#items[number - this.#gone];
  }

  /** The newest `keep`; lets the others go. */
  items(): readonly T[] {
    if (this.#items.length > this.#keep) this.#letGo(this.#items.length - this.#keep);
    return this.#items;
  }

  get gone(): number {
    return this.#gone;
  }
  get lastGone(): T | undefined {
    return this.#lastGone;
  }
}
