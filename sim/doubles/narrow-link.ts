/** One direction of a link that takes its time for each byte: what is sent waits for what was sent before. At full width nothing waits. */

/** Calls `fn` once after `delayMs`; never within the call. */
type Schedule = (delayMs: number, fn: () => void) => void;

interface Queued<T> {
  readonly item: T;
  readonly bytes: number;
}

export class NarrowLink<T> {
  readonly #schedule: Schedule;
  /** What has been sent is on its way. */
  readonly #sent: (item: T) => void;
  #bytesPerMs = Infinity;
  #queue: Queued<T>[] = [];
  /** Increases with each change of the width: what was begun before takes no effect. */
  #turn = 0;

  constructor(schedule: Schedule, sent: (item: T) => void) {
    this.#schedule = schedule;
    this.#sent = sent;
  }

  send(item: T, bytes: number): void {
    if (this.#bytesPerMs === Infinity) return this.#sent(item);
    this.#queue.push({ item, bytes });
    if (this.#queue.length === 1) this.#next();
  }

  /** Infinity: full width, and all that waits is on its way, in order. Otherwise the first of it begins anew. */
  setWidth(bytesPerMs: number): void {
    this.#turn++;
    this.#bytesPerMs = bytesPerMs;
    if (bytesPerMs !== Infinity) return this.#next();
    const queue = this.#queue;
    this.#queue = [];
    for (const { item } of queue) this.#sent(item);
  }

  #next(): void {
    const [first] = this.#queue;
    if (first === undefined) return;
    const turn = this.#turn;
    this.#schedule(first.bytes / this.#bytesPerMs, () => {
      if (turn !== this.#turn) return;
      this.#queue.shift();
      this.#sent(first.item);
      this.#next();
    });
  }
}
