/**
 * What counts as a majority of the voters.
 *
 * Invariant: any two quorums share a voter. Source: QuorumMaj.java. Weights and groups are not supported.
 */
import { assert } from '../base/assert.ts';

export function quorumSize(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/**
 * The largest number that a quorum has reached, given what each voter has reached; voters that are missing in `reached` count as having
 * reached nothing. Sorts `reached` in place. `nothing` is the answer when fewer than a quorum are present.
 */
export function reachedByQuorum(reached: number[], voters: number, nothing: number): number {
  const quorum = quorumSize(voters);
  assert(reached.length <= voters, 'more acknowledgements than voters');
  if (reached.length < quorum) return nothing;
  // A handful of numbers, several times per turn: insertion beats Array.sort with its comparator.
  for (let i = 1; i < reached.length; i++) {
    const value = reached[i] as number;
    let j = i;
    for (; j > 0 && (reached[j - 1] as number) < value; j--) reached[j] = reached[j - 1] as number;
    reached[j] = value;
  }
  return reached[quorum - 1] as number;
}
