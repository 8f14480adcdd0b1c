/**
 * Small byte strings packed into large chunks: a million znodes' data without a million typed arrays, whose collection would pause the process.
 *
 * Invariants:
 * - A block is of one size class all its life; a freed block is used again for the same class only.
 * - A block's bytes change only through write(); who shows them to others says for how long they hold.
 */
export class ByteStore {
  readonly #chunks: Uint8Array[] = [];
  #nextUnit = UNITS_PER_CHUNK;
  readonly #free: number[][] = CLASSES.map(() => []);

  /** Takes a block for `length` bytes, at most SMALL_MAX. */
  allocate(length: number): number {
    const sizeClass = CLASS_OF_UNITS[(length + UNIT - 1) >>> UNIT_SHIFT] as number;
    const free = this.#free[sizeClass] as number[];
    const reused = free.pop();
    if (reused !== undefined) return reused;
    const units = CLASSES[sizeClass] as number;
    if (this.#nextUnit + units > UNITS_PER_CHUNK) {
      this.#chunks.push(new Uint8Array(CHUNK_BYTES));
      this.#nextUnit = 0;
    }
    const block = (this.#chunks.length - 1) * UNITS_PER_CHUNK + this.#nextUnit;
    this.#nextUnit += units;
    return block;
  }

  free(block: number, length: number): void {
    (this.#free[CLASS_OF_UNITS[(length + UNIT - 1) >>> UNIT_SHIFT] as number] as number[]).push(block);
  }

  /** Whether data of both lengths fit the same block. */
  sameClass(a: number, b: number): boolean {
    return CLASS_OF_UNITS[(a + UNIT - 1) >>> UNIT_SHIFT] === CLASS_OF_UNITS[(b + UNIT - 1) >>> UNIT_SHIFT];
  }

  write(block: number, data: Uint8Array): void {
    (this.#chunks[Math.floor(block / UNITS_PER_CHUNK)] as Uint8Array).set(data, (block % UNITS_PER_CHUNK) << UNIT_SHIFT);
  }

  view(block: number, length: number): Uint8Array {
    const start = (block % UNITS_PER_CHUNK) << UNIT_SHIFT;
    return (this.#chunks[Math.floor(block / UNITS_PER_CHUNK)] as Uint8Array).subarray(start, start + length);
  }
}

/** What is larger has an array of its own. */
export const SMALL_MAX = 1024;

const UNIT_SHIFT = 5;
const UNIT = 1 << UNIT_SHIFT;
const CHUNK_BYTES = 64 * 1024;
const UNITS_PER_CHUNK = CHUNK_BYTES / UNIT;
/** Sizes in units of 32 bytes. */
const CLASSES = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32];
const CLASS_OF_UNITS = new Uint8Array(SMALL_MAX / UNIT + 1).map((_, units) => CLASSES.findIndex((size) => size >= units));
