/**
 * Znodes by path: open addressing over the hash of the path that the digest needs anyway, so that a lookup hashes a path once. Split in shards:
 * the growth of one moves a few thousand entries, so that no create pauses the process however large the tree is.
 *
 * Invariant: a path is in it at most once; between an entry's place and the place of its hash no place is empty.
 */
import { hashString } from '../base/prng.ts';
import type { Znode } from './znode.ts';

export class PathIndex {
  /** NO_SHARD where nothing has been added: most trees are small, and a server makes one whenever it boots. */
  readonly #shards: Shard[] = NO_SHARDS.slice();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(path: string): Znode | undefined {
    const hash = hashString(path);
    return (this.#shards[shardOf(hash)] as Shard).get(path, hash);
  }

  /** The path is not in it yet; node.pathHash is its hash. */
  add(node: Znode): void {
    const at = shardOf(node.pathHash);
    if (this.#shards[at] === NO_SHARD) this.#shards[at] = new Shard();
    (this.#shards[at] as Shard).add(node);
    this.#size++;
  }

  /** The znode is in it. */
  delete(node: Znode): void {
    (this.#shards[shardOf(node.pathHash)] as Shard).delete(node);
    this.#size--;
  }

  *[Symbol.iterator](): IterableIterator<Znode> {
    for (const { nodes } of this.#shards) {
      // By index: most shards of a small tree are empty, and an iterator for each would cost more than its znodes.
      for (let i = 0; i < nodes.length; i++) {
        const node = nodes[i] as Znode | null;
        if (node !== null) yield node;
      }
    }
  }
}

class Shard {
  /** One empty place, until there is something. */
  nodes: (Znode | null)[] = NO_NODES;
  #hashes = NO_HASHES;
  #mask = 0;
  #count = 0;

  get(path: string, hash: number): Znode | undefined {
    const { nodes } = this;
    const hashes = this.#hashes;
    for (let at = placeOf(hash) & this.#mask; ; at = (at + 1) & this.#mask) {
      const node = nodes[at] as Znode | null;
      if (node === null) return undefined;
      if (hashes[at] === hash && node.path === path) return node;
    }
  }

  add(node: Znode): void {
    if (++this.#count * 4 > nodesMax(this.#mask)) this.#grow();
    this.#put(node, node.pathHash);
  }

  /** What follows moves up, so that lookups need no marks for the deleted. */
  delete(node: Znode): void {
    const { nodes } = this;
    const hashes = this.#hashes;
    const mask = this.#mask;
    let hole = placeOf(node.pathHash) & mask;
    while (nodes[hole] !== node) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; nodes[at] !== null; at = (at + 1) & mask) {
      const home = placeOf(hashes[at] as number) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      nodes[hole] = nodes[at] as Znode;
      hashes[hole] = hashes[at] as number;
      hole = at;
    }
    nodes[hole] = null;
    this.#count--;
  }

  #put(node: Znode, hash: number): void {
    let at = placeOf(hash) & this.#mask;
    while (this.nodes[at] !== null) at = (at + 1) & this.#mask;
    this.nodes[at] = node;
    this.#hashes[at] = hash;
  }

  #grow(): void {
    const { nodes } = this;
    const hashes = this.#hashes;
    const capacity = Math.max(FIRST_CAPACITY, nodes.length * 2);
    this.nodes = emptyNodes(capacity);
    this.#hashes = new Int32Array(capacity);
    this.#mask = capacity - 1;
    for (let i = 0; i < nodes.length; i++) {
      const node = nodes[i] as Znode | null;
      if (node !== null) this.#put(node, hashes[i] as number);
    }
  }
}

/** Full at three quarters, times four. */
function nodesMax(mask: number): number {
  return (mask + 1) * 3;
}

function emptyNodes(capacity: number): (Znode | null)[] {
  const nodes: (Znode | null)[] = [];
  for (let i = 0; i < capacity; i++) nodes.push(null);
  return nodes;
}

function shardOf(hash: number): number {
  return (hash ^ (hash >>> 15)) & (SHARDS - 1);
}

function placeOf(hash: number): number {
  return Math.imul(hash, 0x9e3779b1) >>> 7;
}

const SHARDS = 256;
const FIRST_CAPACITY = 4;
const NO_NODES: (Znode | null)[] = [null];
const NO_HASHES = new Int32Array(1);
/** Nothing is ever added to it. */
const NO_SHARD = new Shard();
const NO_SHARDS = Array.from({ length: SHARDS }, () => NO_SHARD);
