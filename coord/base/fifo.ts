/** A queue whose shift does not move the rest, and which keeps its room when it is emptied. */
export class Fifo<T> {
  /** From #head up to #tail; what lies beyond is empty room. */
  #items: (T | undefined)[] = [];
  #head = 0;
  #tail = 0;

  get size(): number {
    return this.#tail - this.#head;
  }

  push(item: T): void {
    this.#items[this.#tail++] = item;
  }

  peek(): T | undefined {
    return this.#head === this.#tail ? undefined : this.#items[this.#head];
  }

  last(): T | undefined {
    return this.#head === this.#tail ? undefined : this.#items[this.#tail - 1];
  }
  /** It must not be empty. */
  replaceLast(item: T): void {
    this.#items[this.#tail - 1] = item;
  }

  shift(): T | undefined {
    if (this.#head === this.#tail) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#tail) {
      if (this.#items.length > ROOM_MAX) this.#items = [];
      this.#head = 0;
      this.#tail = 0;
    } else if (this.#head >= ROOM_MAX && this.#head * 2 >= this.#tail) {
      this.#items = this.#items.slice(this.#head, this.#tail);
      this.#tail -= this.#head;
      this.#head = 0;
    }
    return item;
  }

  some(test: (item: T) => boolean): boolean {
    for (let i = this.#head; i < this.#tail; i++) if (test(this.#items[i] as T)) return true;
    return false;
  }

  takeAll(): T[] {
    const items = this.#items.slice(this.#head, this.#tail) as T[];
    this.#items = [];
    this.#head = 0;
    this.#tail = 0;
    return items;
  }
}

const ROOM_MAX = 1024;
