/** What a run ends with that was thrown: a finding like any other. */
import { SimulationEscape } from '../world/guard.ts';
import { Violation } from '../world/world.ts';
import type { Outcome } from './result.ts';

export interface Thrown {
  readonly kind: Outcome;
  readonly violation: Violation;
}

export function thrown(error: unknown): Thrown {
  // The world's own: its time stands still.
  if (error instanceof Violation) return { kind: 'liveness', violation: error };
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  const violation = new Violation(name, message);
  if (stack !== undefined) violation.stack = stack;
  return { kind: error instanceof SimulationEscape ? 'nondeterminism' : 'crash', violation };
}
