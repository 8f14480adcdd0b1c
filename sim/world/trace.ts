/** What is traced: entries whose text is made only when somebody looks, and a hash over all of them that two runs of a seed must share. */
export type Fields = Readonly<Record<string, unknown>>;

export const NO_FIELDS: Fields = {};

export class TraceEntry {
  readonly atMs: number;
  readonly who: string;
  readonly name: string;
  /** Nobody writes to them afterwards. */
  readonly fields: Fields;

  constructor(atMs: number, who: string, name: string, fields: Fields) {
    this.atMs = atMs;
    this.who = who;
    this.name = name;
    this.fields = fields;
  }

  /** For people: the name and the fields as JSON. */
  get what(): string {
    return this.fields === NO_FIELDS ? this.name : `${this.name} ${JSON.stringify(this.fields, (_key, value: unknown) => (typeof value === 'bigint' ? `0x${value.toString(16)}` : value))}`;
  }
}

const PRIME = 0x01000193;
const float = new Float64Array(1);
const words = new Uint32Array(float.buffer);

export const HASH_BEGIN = 0x811c9dc5;

/** FNV-1a, a step a word: 32 bits. */
export function hashNumber(h: number, value: number): number {
  float[0] = value;
  return Math.imul(Math.imul(h ^ (words[0] as number), PRIME) ^ (words[1] as number), PRIME);
}

export function hashText(h: number, text: string): number {
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), PRIME);
  return Math.imul(h ^ text.length, PRIME);
}

/** The order of keys counts: it is the order in which the component wrote them. */
export function hashValue(h: number, value: unknown): number {
  switch (typeof value) {
    case 'number':
      return hashNumber(h, value);
    case 'string':
      return hashText(h, value);
    case 'boolean':
      return Math.imul(h ^ (value ? 3 : 5), PRIME);
    case 'bigint':
      return hashText(h, value.toString(16));
    case 'object': {
      if (value === null) return Math.imul(h ^ 7, PRIME);
      if (value instanceof Uint8Array) {
        for (let i = 0; i < value.length; i++) h = Math.imul(h ^ (value[i] as number), PRIME);
        return Math.imul(h ^ value.length, PRIME);
      }
      for (const key in value) h = hashValue(hashText(h, key), (value as Record<string, unknown>)[key]);
      return Math.imul(h ^ 11, PRIME);
    }
    default:
      return Math.imul(h ^ 13, PRIME);
  }
}
