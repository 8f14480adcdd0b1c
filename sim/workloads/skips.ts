/** Which drawn operations are not sent: 'client-2#14', or 'client-2#14-90'. Operations of a client are numbered from 1 in the order in which they are drawn. */
export class Skips {
  readonly #ranges = new Map<string, [from: number, to: number][]>();

  constructor(skip: readonly string[]) {
    for (const text of skip) {
      const match = /^(.+)#(\d+)(?:-(\d+))?$/.exec(text);
      if (match === null) throw new RangeError(`"${text}" names no operations: client-2#14, or client-2#14-90`);
      const [, who, from, to = from] = match as unknown as [string, string, string, string | undefined];
      const ranges = this.#ranges.get(who) ?? [];
      ranges.push([Number(from), Number(to)]);
      this.#ranges.set(who, ranges);
    }
  }

  has(who: string, number: number): boolean {
    return this.#ranges.get(who)?.some(([from, to]) => number >= from && number <= to) ?? false;
  }
}
