/** What will happen, by virtual time; equal times in the order in which they were scheduled. A binary heap. */
export interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  /** It may leave something to microtasks. */
  readonly usesPromises: boolean;
}

export class EventQueue {
  readonly #heap: Scheduled[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  peek(): Scheduled | undefined {
    return this.#heap[0];
  }

  push(atMs: number, run: () => void, usesPromises: boolean): void {
    const item: Scheduled = { atMs, order: this.#order++, run, usesPromises };
    const heap = this.#heap;
    let i = heap.length;
    heap.push(item);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent] as Scheduled;
      if (before(above, item)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = item;
  }

  pop(): Scheduled | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Scheduled, heap[child] as Scheduled)) child++;
      if (before(last, heap[child] as Scheduled)) break;
      heap[i] = heap[child] as Scheduled;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

function before(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
