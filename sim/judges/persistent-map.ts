/**
 * A map of which every version stays readable: one of them holds a real Map, the others what to change on the way there (Baker's rerooting). So the
 * newest version costs what a Map costs, and going back costs what was changed since.
 */
interface Held<K, V> {
  readonly map: Map<K, V>;
}
interface Difference<K, V> {
  readonly key: K;
  /** Undefined: it is not there. */
  readonly value: V | undefined;
  readonly of: PersistentMap<K, V>;
}

export class PersistentMap<K, V> {
  #body: Held<K, V> | Difference<K, V>;

  constructor(entries: Iterable<readonly [K, V]> = []) {
    this.#body = { map: new Map(entries) };
  }

  get size(): number {
    return this.#map().size;
  }
  get(key: K): V | undefined {
    return this.#map().get(key);
  }
  has(key: K): boolean {
    return this.#map().has(key);
  }
  /** No version may be read or made while this is walked over. */
  entries(): IterableIterator<[K, V]> {
    return this.#map().entries();
  }

  /** The version with this entry; `value` undefined: without it. */
  with(key: K, value: V | undefined): PersistentMap<K, V> {
    const map = this.#map();
    const before = map.get(key);
    if (before === value) return this;
    put(map, key, value);
    const after = new PersistentMap<K, V>();
    after.#body = this.#body;
    this.#body = { key, value: before, of: after };
    return after;
  }

  #map(): Map<K, V> {
    const { map } = this.#body as Partial<Held<K, V>>;
    return map ?? this.#reroot();
  }

  #reroot(): Map<K, V> {
    const way: PersistentMap<K, V>[] = [this];
    let at = (this.#body as Difference<K, V>).of;
    for (let body = at.#body; 'of' in body; body = at.#body) {
      way.push(at);
      at = body.of;
    }
    let held = at.#body as Held<K, V>;
    for (let version = way.pop(); version !== undefined; version = way.pop()) {
      const { key, value } = version.#body as Difference<K, V>;
      const before = held.map.get(key);
      put(held.map, key, value);
      at.#body = { key, value: before, of: version };
      version.#body = held;
      held = version.#body;
      at = version;
    }
    return held.map;
  }
}

function put<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
