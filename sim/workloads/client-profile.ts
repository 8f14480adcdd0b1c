/** The manners of clients that do what no client should: drawn for each one by itself. */
import type { Prng } from '../../coord/base/prng.ts';
import type { ClientPlan } from '../plan/plan.ts';

export function drawUnmannered(client: ClientPlan, prng: Prng): ClientPlan {
  const shares = client.id > 1 && prng.chance(0.25) ? { sharesSessionOf: prng.between(1, client.id - 1) } : {};
  const kind = prng.pick(['library', 'library', 'raw'] as const);
  return {
    ...client, ...shares, kind,
    move: prng.pick([0, 0.05, 0.3]), stall: prng.pick([0, 0.02, 0.1]), misbehave: prng.pick([0, 0.02, 0.1]), timeoutMs: prng.pick([1000, 1000, 2000, 10_000]),
    burst: prng.pick([1, 4, 4, 20]), thinkMs: prng.pick([5, 60, 400]),
  };
}
