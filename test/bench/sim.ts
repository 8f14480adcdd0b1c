/**
 * How fast the simulator is, on one core, with everything that judges switched on: events a second, real time of a standard seed, virtual seconds a
 * real second. A standard seed: 5 servers, 6 clients, 60 virtual seconds of faults (20 or more) and then the heal, some 90,000 events.
 *
 *   npm run bench:sim [-- --seeds 15]
 *
 * Machines differ: the last line divides by the speed of a bare event loop (a binary heap and nothing else), measured in the same run.
 */
import { parseArgs } from 'node:util';
import { Prng } from '../../coord/base/prng.ts';
import { draft } from '../../sim/plan/draft.ts';
import { drawFaults, RECIPES } from '../../sim/plan/faults.ts';
import type { Plan } from '../../sim/plan/plan.ts';
import { runEnsemblePlan } from '../../sim/run/run-ensemble.ts';

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '15' } } });

const UNTIL_MS = 60_000;
const LOAD = { clients: 6, burst: 4, thinkMs: 900 };
const GOALS = { eventsPerSecond: 250_000, standardSeedSeconds: 0.4, virtualPerReal: 150 };

function standardPlan(seed: string): Plan {
  const options = { seed, servers: 5 };
  const prng = new Prng(`standard/${seed}`);
  const plan = draft('swarm', prng, options, LOAD);
  return { ...plan, untilMs: UNTIL_MS, faults: drawFaults(prng.fork('faults'), RECIPES, options.servers, 0, UNTIL_MS - 3000, { soonMs: 800, apartMs: [1500, 4000], onElection: 0.2 }) };
}

/** Events a second of a heap of 100 timers that each sets the next. */
function bareLoop(): number {
  const times: number[] = [];
  const EVENTS = 3_000_000;
  const push = (atMs: number): void => {
    let i = times.length;
    times.push(atMs);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if ((times[parent] as number) <= atMs) break;
      times[i] = times[parent] as number;
      i = parent;
    }
    times[i] = atMs;
  };
  const pop = (): number => {
    const top = times[0] as number;
    const last = times.pop() as number;
    let i = 0;
    for (let child = 1; child < times.length; child = 2 * i + 1) {
      if (child + 1 < times.length && (times[child + 1] as number) < (times[child] as number)) child++;
      if (last <= (times[child] as number)) break;
      times[i] = times[child] as number;
      i = child;
    }
    times[i] = last;
    return top;
  };
  const prng = new Prng('bare');
  for (let i = 0; i < 100; i++) push(prng.float());
  const from = process.cpuUsage();
  for (let i = 0; i < EVENTS; i++) push(pop() + prng.float());
  return EVENTS / (process.cpuUsage(from).user / 1e6);
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;

const seconds: number[] = [];
const rates: number[] = [];
const virtual: number[] = [];
const events: number[] = [];
// Whoever runs many seeds runs most of them warm.
const WARM_UP = 5;
for (let i = -WARM_UP; i < Number(values.seeds); i++) {
  const plan = standardPlan(`bench-${i}`);
  const from = performance.now();
  const cpu = process.cpuUsage();
  const result = runEnsemblePlan(plan);
  const used = process.cpuUsage(cpu);
  // On a machine that does something else too, the time that this process was given.
  const took = Math.min((performance.now() - from) / 1000, (used.user + used.system) / 1e6);
  if (result.kind !== 'ok') {
    console.error(`seed ${plan.seed} ends ${result.kind}: ${result.violation?.stack ?? ''}`);
    process.exitCode = 1;
  }
  if (i === -WARM_UP) console.log(`the first seed of a process, before anything is compiled: ${took.toFixed(3)} s for ${result.events} events`);
  if (i === -1) console.log('seed  outcome  events  virtual s  faults  elections  acked  real s  events/s  virtual s / real s');
  if (i < 0) continue;
  const faults = Object.values(result.faults).reduce((sum, n) => sum + n, 0);
  seconds.push(took);
  rates.push(result.events / took);
  virtual.push(result.virtualMs / 1000 / took);
  events.push(result.events);
  console.log(`${String(i).padStart(4)}  ${result.kind.padEnd(7)} ${String(result.events).padStart(7)} ${(result.virtualMs / 1000).toFixed(1).padStart(10)} ${String(faults).padStart(7)} ${String(result.elections).padStart(10)} ${String(result.acked).padStart(6)} ${took.toFixed(3).padStart(7)} ${Math.round(result.events / took).toLocaleString('en').padStart(9)} ${(result.virtualMs / 1000 / took).toFixed(0).padStart(10)}`);
}
const bare = bareLoop();
console.log(`median of ${seconds.length} seeds, ${Math.round(median(events)).toLocaleString('en')} events each`);
console.log(`  events a second        ${Math.round(median(rates)).toLocaleString('en').padStart(9)}   (goal ${GOALS.eventsPerSecond.toLocaleString('en')})`);
console.log(`  real s of a seed       ${median(seconds).toFixed(3).padStart(9)}   (goal ${GOALS.standardSeedSeconds})`);
console.log(`  virtual s / real s     ${median(virtual).toFixed(0).padStart(9)}   (goal ${GOALS.virtualPerReal})`);
console.log(`a bare event loop does ${(bare / 1e6).toFixed(1)}M events/s here: one simulated event costs ${(bare / median(rates)).toFixed(1)} of its`);
