/**
 * Streams of chance by stable name: `net/server-1>server-2`, `disk/server-3/journal`, `client-4`. Each is forked from the seed by its name alone, so
 * that a new component, or one that draws more, does not shift what others draw.
 */
import { Prng } from '../../coord/base/prng.ts';

export type Streams = (name: string) => Prng;

/** `calm`: names, or their beginnings up to a slash, of streams that give their most ordinary value each time. The same name gives the same stream. */
export function streamsOf(seed: Prng, calm: readonly string[] = []): Streams {
  const streams = new Map<string, Prng>();
  const names = new Set(calm);
  return (name) => {
    let stream = streams.get(name);
    if (stream === undefined) {
      stream = isCalm(name, names) ? new CalmPrng() : seed.fork(name);
      streams.set(name, stream);
    }
    return stream;
  };
}

function isCalm(name: string, calm: ReadonlySet<string>): boolean {
  for (let end = name.length; end > 0; end = name.lastIndexOf('/', end - 1)) if (calm.has(name.slice(0, end))) return true;
  return false;
}

/** Always the middle: a chance below one half never comes true, latencies are their mean. */
class CalmPrng extends Prng {
  constructor() {
    super('calm');
  }
  override fork(): Prng {
    return this;
  }
  override u32(): number {
    return 0x8000_0000;
  }
}
