/** All mutants. The tables are by the part of the product that they break. */
import { DreyError } from '../../coord/base/errors.ts';
import { clientMutants } from './client-mutants.ts';
import { clusterMutants } from './cluster-mutants.ts';
import { diskMutants } from './disk-mutants.ts';
import { electionMutants } from './election-mutants.ts';
import type { Mutant } from './mutant.ts';
import { broadcastMutants } from './broadcast-mutants.ts';
import { requestMutants } from './request-mutants.ts';
import { sessionMutants } from './session-mutants.ts';
import { synchronizationMutants } from './synchronization-mutants.ts';
import { watchMutants } from './watch-mutants.ts';

export const mutants: readonly Mutant[] = [
  ...electionMutants, ...synchronizationMutants, ...broadcastMutants, ...diskMutants, ...sessionMutants, ...requestMutants, ...watchMutants, ...clientMutants, ...clusterMutants,
];

/** Throws DreyError SIM_UNKNOWN_MUTANT. */
export function mutantNamed(name: string): Mutant {
  const mutant = mutants.find((each) => each.name === name);
  if (mutant === undefined) throw new DreyError('SIM_UNKNOWN_MUTANT', `there is no mutant "${name}"; there are: ${mutants.map((each) => each.name).join(', ')}`);
  return mutant;
}
