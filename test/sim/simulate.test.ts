/** What a user writes to try a job of their own under faults. */
import test from 'ava';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileSink, kafkaSource } from '../../connectors/index.ts';
import { boundedOutOfOrderness, job, tumbling } from '../../orchestrator/api/index.ts';
import type { Json, Sink } from '../../orchestrator/api/index.ts';
import { simulate, SimulationFailed } from '../../sim/simulate/index.ts';

interface Click {
  readonly user: string;
  readonly at: number;
}
const clicks: Click[] = Array.from({ length: 300 }, (_, i) => ({ user: `user-${i % 7}`, at: 1_700_000_000_000 + 20 * i }));

const clicksPerSecond = job(
  'clicks-per-second',
  (env) => {
    env
      .source(kafkaSource({ brokers: ['kafka:9092'], topic: 'clicks', format: 'json' }), { timestamp: (click) => (click as unknown as Click).at, watermarks: boundedOutOfOrderness(500) })
      .keyBy((click) => (click as unknown as Click).user)
      .window(tumbling(1000))
      .aggregate({ create: () => 0, add: (n) => n + 1, result: (count, user, window): Json => ({ user, second: window.start, count }) })
      .sink(fileSink({ path: '/var/out', format: 'ndjson' }));
  },
  { parallelism: 2, checkpoint: { intervalMs: 500 }, restart: { type: 'exponential-delay', initialMs: 100, maxMs: 2000, multiplier: 2, resetAfterMs: 10_000 } },
);

test('each click is counted once, whichever worker or master dies', async (t) => {
  const result = await simulate(clicksPerSecond, {
    seed: 7,
    faults: ['worker-loss', 'master-loss'],
    input: clicks,
    expect: (output) => {
      const counted = output as unknown as { user: string; second: number; count: number }[];
      t.is(counted.reduce((sum, { count }) => sum + count, 0), clicks.length);
      t.is(new Set(counted.map(({ user, second }) => `${user}/${second}`)).size, counted.length);
    },
  });
  t.true(Object.keys(result.faults).length > 0);
  t.true(result.checkpoints > 0);
});

test('without a check of its own, the output must be what it is without faults', async (t) => {
  const result = await simulate(clicksPerSecond, { seed: 'nightly', faults: ['worker-loss', 'kafka-outage', 'storage-failure'], input: clicks });
  t.true(result.output.length > 0);
});

test('what a job keeps outside of its state is missed after a failover, also where the job has no opinion on checkpoints', async (t) => {
  const numbered = job('numbered', (env) => {
    const seen = new Map<string, number>();
    env.source(kafkaSource({ brokers: ['kafka:9092'], topic: 'clicks', format: 'json' })).map((click): Json => {
      const { user } = click as unknown as Click;
      const n = (seen.get(user) ?? 0) + 1;
      seen.set(user, n);
      return { user, n };
    }).sink(fileSink({ path: '/var/out', format: 'ndjson' }));
  });
  const messages: string[] = [];
  for (let seed = 1; seed <= 6; seed++) {
    await simulate(numbered, { seed, faults: ['worker-loss'], input: clicks }).catch((error: unknown) => messages.push((error as SimulationFailed).message));
  }
  t.true(messages.length > 0);
  for (const message of messages) t.regex(message, /^Expectation: sink .* comes \d+ times (more|less) often than without faults/);
});

test('a seed is a run: twice the same', async (t) => {
  const options = { seed: 3, faults: ['worker-loss', 'master-loss'], input: clicks, expect: () => undefined } as const;
  const [one, two] = [await simulate(clicksPerSecond, options), await simulate(clicksPerSecond, options)];
  t.is(one.traceHash, two.traceHash);
  t.deepEqual(one.output, two.output);
  t.not((await simulate(clicksPerSecond, { ...options, seed: 4 })).traceHash, one.traceHash);
});

test('a job that is wrong under faults fails with the cause, the seed and how to replay it', async (t) => {
  // What was written after the last checkpoint is written again.
  const printed: Sink<Json> = { description: 'printed', guarantee: 'at-least-once', createWriter: async () => Promise.reject(new Error('never opened here')) };
  const counting = job('counting', (env) => env.source(kafkaSource({ brokers: ['kafka:9092'], topic: 'clicks', format: 'json' })).sink(printed), { checkpoint: { intervalMs: 1000 }, restart: { type: 'fixed-delay', attempts: 1000, delayMs: 100 } });
  const error = await t.throwsAsync(
    simulate(counting, {
      seed: 1,
      faults: ['worker-loss'],
      input: clicks,
      expect: (output) => {
        if (output.length !== clicks.length) throw new Error(`${clicks.length} clicks, ${output.length} records`);
      },
    }),
    { instanceOf: SimulationFailed },
  );
  t.is(error?.invariant, 'Expectation');
  await t.notThrowsAsync(simulate(counting, { seed: 1, faults: ['worker-loss'], input: clicks }), 'without a check an at-least-once sink may repeat itself');
  t.regex(error?.message ?? '', /Expectation: 300 clicks, \d+ records/);
  t.regex(error?.message ?? '', /seed 1, faults that struck: .*pause/);
  t.regex(error?.message ?? '', /replay: simulate\(job, \{ …, seed: 1, trace: console\.log \}\)/);
});

test('code that looks at the real clock is found, with its place', async (t) => {
  const stamping = job('stamping', (env) => env.source(kafkaSource({ brokers: ['kafka:9092'], topic: 'clicks', format: 'json' })).map((click): Json => ({ click, seenAt: Date.now() })).sink(fileSink({ path: '/var/out', format: 'ndjson' })));
  const error = await t.throwsAsync(simulate(stamping, { seed: 1, input: clicks }), { instanceOf: SimulationFailed });
  t.is(error?.invariant, 'SimulationEscape');
  t.regex(error?.message ?? '', /simulated code calls Date\.now at test\/sim\/simulate\.test\.ts:\d+:\d+/);
});

test('a record that the code cannot take fails the job, and the error shows where', async (t) => {
  const strict = job('strict', (env) => env.source(kafkaSource({ brokers: ['kafka:9092'], topic: 'clicks', format: 'json' })).map((click): Json => (click as unknown as Click).user.toUpperCase()).sink(fileSink({ path: '/var/out', format: 'ndjson' })), { restart: { type: 'none' } });
  const error = await t.throwsAsync(simulate(strict, { seed: 1, input: [...clicks, { at: 1 }] }), { instanceOf: SimulationFailed });
  t.is(error?.invariant, 'JobFailed');
  t.regex(error?.message ?? '', /toUpperCase/);
});

test('records are missing, or slots', async (t) => {
  await t.throwsAsync(simulate(clicksPerSecond, { seed: 1, input: { orders: clicks } }), { code: 'SIM_INPUT' });
  await t.throwsAsync(simulate(clicksPerSecond, { seed: 1, input: clicks, taskManagers: 1, slots: 1 }), { code: 'SIM_TOO_SMALL' });
});

test('options that cannot be are refused in one line, before anything runs', async (t) => {
  const good = { seed: 1, input: clicks };
  const refused = async (options: object, message: RegExp, job: unknown = clicksPerSecond): Promise<void> => {
    const error = await t.throwsAsync(simulate(job as typeof clicksPerSecond, options as typeof good), { code: 'SIM_OPTIONS', message });
    t.false(error?.message.includes('\n'));
  };
  await refused(undefined as unknown as object, /seed is missing: it must be a whole number or a text/);
  await refused({ seed: 1 }, /input is missing: it must be a list of records/);
  await refused({ ...good, seed: NaN }, /seed must be a whole number or a text, and is NaN/);
  await refused({ ...good, seed: 1.5 }, /seed must be a whole number or a text, and is 1\.5/);
  for (const input of [[], {}, { clicks: [] }]) await refused({ ...good, input }, /input must hold at least one record, and is /);
  await refused({ ...good, input: { clicks: 5 } }, /input must be a list of records or/);
  await refused({ ...good, faults: ['meteor'] }, /faults must be a list of 'worker-loss', 'master-loss', 'kafka-outage', 'storage-failure', and is \["meteor"\]/);
  await refused({ ...good, faults: 'worker-loss' }, /faults must be a list/);
  await refused({ ...good, fautls: [] }, /there is no option "fautls"; there are seed, faults, input/);
  for (const name of ['servers', 'jobManagers', 'taskManagers', 'slots', 'partitions']) for (const value of [0, -3, 1.5, NaN, 'three']) await refused({ ...good, [name]: value }, new RegExp(`${name} must be a whole number from 1`));
  for (const forMs of [0, -5, NaN, Infinity]) await refused({ ...good, forMs }, /forMs must be virtual ms above 0/);
  await refused({ ...good, expect: 5 }, /expect must be a function, and is 5/);
  await refused(good, /the first argument must be a job/, { name: 'no job' });
});

test('an expectation may throw anything', async (t) => {
  const error = await t.throwsAsync(simulate(clicksPerSecond, { seed: 1, input: clicks, expect: () => { throw 'not what I want'; } }), { instanceOf: SimulationFailed });
  t.regex(error?.message ?? '', /^Expectation: not what I want\n/);
});

test('what another test does at the same time is not taken for the job', async (t) => {
  const simulated = simulate(clicksPerSecond, { seed: 1, input: clicks });
  for (let i = 0; i < 300; i++) await Promise.resolve();
  t.notThrows(() => Date.now());
  t.true((await simulated).output.length > 0);
});

test('a promise that a job lets fall, once, and in a short run too, fails a task right then, and is no part of the next run', (t) => {
  // In a process of its own: the test runner hears of rejections, too.
  const code = `
    import { fileSink, kafkaSource } from './connectors/index.ts';
    import { job } from './orchestrator/api/index.ts';
    import { simulate } from './sim/simulate/index.ts';
    const passing = (letsFall) => job('passing', (env) => {
      env.source(kafkaSource({ brokers: ['kafka:9092'], topic: 'clicks', format: 'json' })).map(letsFall).sink(fileSink({ path: '/var/out', format: 'ndjson' }));
    }, { parallelism: 2, restart: { type: 'fixed-delay', attempts: 10, delayMs: 100 } });
    const input = Array.from({ length: 12 }, (_, i) => i);
    const run = async (letsFall) => {
      const lines = [];
      const { restarts, output, traceHash } = await simulate(passing(letsFall), { seed: 1, input, forMs: 200, trace: (line) => void lines.push(line) });
      const failed = lines.filter((line) => line.includes('task failed'));
      return { restarts, output: output.toSorted((a, b) => a - b).join(), traceHash, failed };
    };
    const results = [];
    for (const at of [null, 0, null, 11, null]) {
      let fallen = at === null;
      results.push(await run((n) => {
        if (!fallen && n === at) {
          fallen = true;
          // Later, as whoever is called may do.
          void Promise.resolve().then(() => Promise.reject(new Error('nobody waits for ' + n)));
        }
        return n;
      }));
    }
    console.log(JSON.stringify(results));`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { cwd: join(import.meta.dirname, '../..'), encoding: 'utf8' });
  t.is(status, 0, stderr);
  const [alone, first, second, last, third] = JSON.parse(stdout) as { restarts: number; output: string; traceHash: string; failed: string[] }[];
  t.deepEqual(alone?.failed, []);
  t.deepEqual([second, third], [alone, alone]);
  for (const [fell, n] of [[first, 0], [last, 11]] as const) {
    t.is(fell?.restarts, 1);
    t.is(fell?.output, alone?.output);
    t.true((fell?.failed.length ?? 0) > 0 && fell?.failed.every((line) => line.includes(`nobody waits for ${n}`)) === true, fell?.failed.join('\n'));
    // The tasks of that process, and of no other.
    t.is(new Set(fell?.failed.map((line) => /taskmanager-\d/.exec(line)?.[0])).size, 1);
  }
});
