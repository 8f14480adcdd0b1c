/** How a judge says that a rule is broken: the invariant's name, one sentence of cause in plain words, and who and what is concerned. */
import type { Related } from '../world/world.ts';

export type Fail = (invariant: string, sentence: string, related?: Related) => void;

export function serverName(sid: number): string {
  return `server-${sid}`;
}
