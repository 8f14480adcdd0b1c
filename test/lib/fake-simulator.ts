/** A simulator for tests of the commands: a run's outcome is a function of its plan, at no cost. A child process may load this file as its simulator. */
import { quietPlan } from '../../sim/plan/draft.ts';
import type { ClientPlan, FaultPlan, Plan } from '../../sim/plan/plan.ts';
import type { RunOptions, RunResult } from '../../sim/run/result.ts';
import type { Simulator } from '../../sim/cli/seed-report.ts';
import { Marks } from '../../sim/world/marks.ts';
import { TraceEntry } from '../../sim/world/trace.ts';
import { Violation } from '../../sim/world/world.ts';

export function fakePlan({ seed = '1', servers = 5, faults = 0, clients = 2 } = {}): Plan {
  const drawing = (client: ClientPlan): ClientPlan => ({ ...client, draws: true });
  const plan = quietPlan('swarm', { seed, servers }, clients);
  return { ...plan, clients: plan.clients.map(drawing), faults: Array.from({ length: faults }, (_, i) => fault(i + 1, servers)) };
}

export function fault(n: number, servers = 5): FaultPlan {
  return { id: `f${n}`, when: { atMs: n * 100 + 0.5 }, action: { kind: 'crash', on: `server-${((n - 1) % servers) + 1}`, keeps: 'durable', downMs: 437 } };
}

export const OPS_PER_CLIENT = 100;

export function fakeResult(plan: Plan, broken: string | null, change: Partial<RunResult> = {}): RunResult {
  const marks = new Marks();
  marks.hit('DIFF');
  return {
    kind: broken === null ? 'ok' : 'safety', violation: broken === null ? null : new Violation(broken, `${broken} does not hold`), traceHash: `trace-${plan.seed}`, virtualMs: 1000, events: 500,
    faults: { crash: plan.faults.length }, acked: 10, elections: 1, expired: 0, longestElectionMs: 300, marks: marks.counts,
    drawn: Object.fromEntries(plan.clients.map(({ id }) => [`client-${id}`, OPS_PER_CLIENT])), recent: [new TraceEntry(999, 'server-1', 'Deliver', { zxid: 7, session: 5n })], ...change,
  };
}

/** What each seed comes to, by its name: 'unsafe-…', 'dies-…', 'throws-…', 'hangs-…', 'random-…'; numbers that end in 7 fail when `sevens`. */
export function fakeSimulator({ sevens = false, undecided = false, delayMs = 0 } = {}): Simulator {
  let runs = 0;
  return {
    draw: (scenario, { seed, servers, mutant }) => ({ ...fakePlan({ seed, servers, faults: 3 }), scenario, ...(mutant === undefined ? {} : { mutant }) }),
    run: async (plan: Plan, options: RunOptions = {}) => {
      runs++;
      const { seed } = plan;
      for (let i = 1; i <= 30; i++) options.onTrace?.(new TraceEntry(i, 'server-1', 'Deliver', { zxid: i, ...(i === 20 && seed.startsWith('random') ? { run: runs } : {}) }));
      if (seed.startsWith('dies')) process.kill(process.pid, 'SIGKILL');
      if (seed.startsWith('throws')) throw new TypeError('the product has a bug');
      if (seed.startsWith('escapes')) return new Promise(() => setImmediate(() => void Promise.reject(new Error('nobody waits for this'))));
      if (seed.startsWith('hangs')) return new Promise(() => {});
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs * (1 + (Number(seed) % 3))));
      if (seed === '4' && undecided) return fakeResult(plan, 'Linearizability', { kind: 'gave-up' });
      const fails = seed.startsWith('unsafe') || (sevens && seed.endsWith('7'));
      return fakeResult(plan, fails ? 'Agreement' : null, seed.startsWith('random') ? { traceHash: `trace-${runs}` } : {});
    },
    relevant: ({ recent }) => recent,
  };
}

export const simulator: Simulator = fakeSimulator({ sevens: true, delayMs: 2 });
