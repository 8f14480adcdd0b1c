import test from 'ava';
import { exec } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { lookup } from 'node:dns';
import fs, { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { gunzip, gzipSync } from 'node:zlib';
import { nanoid } from 'nanoid';
import { drawPlan } from '../../sim/plan/draw.ts';
import { runEnsemblePlan } from '../../sim/run/run-ensemble.ts';
import { SimulationEscape } from '../../sim/world/guard.ts';
import { Process } from '../../sim/world/process.ts';
import { World } from '../../sim/world/world.ts';

const escapes: Readonly<Record<string, () => unknown>> = {
  'Date.now': () => Date.now(),
  'new Date()': () => new Date(),
  'Date()': () => Date(),
  'performance.now': () => performance.now(),
  'process.hrtime': () => process.hrtime(),
  'process.hrtime.bigint': () => process.hrtime.bigint(),
  'process.uptime': () => process.uptime(),
  setTimeout: () => setTimeout(() => {}, 0),
  setInterval: () => setInterval(() => {}, 1000),
  setImmediate: () => setImmediate(() => {}),
  'timers/promises.setTimeout': () => void wait(0),
  'process.nextTick': () => process.nextTick(() => {}),
  queueMicrotask: () => queueMicrotask(() => {}),
  'Math.random': () => Math.random(),
  'crypto.randomBytes': () => randomBytes(4),
  'crypto.randomUUID': () => randomUUID(),
  'crypto.getRandomValues': () => nanoid(),
  'fs.readFileSync': () => readFileSync('package.json'),
  'fs.existsSync': () => fs.existsSync('package.json'),
  'fs.promises.readFile': () => void readFile('package.json'),
  'net.connect': () => connect(1),
  'dns.lookup': () => lookup('localhost', () => {}),
  'child_process.exec': () => exec('true'),
  'zlib.gunzip': () => gunzip(Buffer.alloc(0), () => {}),
  fetch: () => void fetch('http://127.0.0.1:1/'),
  WebSocket: () => new WebSocket('ws://127.0.0.1:1/'),
};

for (const [api, call] of Object.entries(escapes)) {
  test(`${api} is caught, with its call site`, (t) => {
    // A pool of random bytes that was filled before does not help.
    nanoid();
    const world = new World('guard');
    world.schedule(1, call);
    const error = t.throws(() => world.run(10), { instanceOf: SimulationEscape });
    t.is(error.api, api);
    t.regex(error.site, /^test\/sim\/guard\.test\.ts:\d+:\d+$/);
    const line = readFileSync(error.site.split(':')[0] as string, 'utf8').split('\n')[Number(error.site.split(':')[1]) - 1] as string;
    t.true(line.includes(api) || line.includes('=>'), line);
  });
}

test('code that swallows it does not get away with it', (t) => {
  const world = new World('guard');
  world.schedule(1, () => {
    try {
      Math.random();
    } catch {
      // As careless code does.
    }
  });
  t.throws(() => world.run(10), { instanceOf: SimulationEscape });
});

test('what is the same in every run is allowed; outside of a world everything is', (t) => {
  const world = new World('guard');
  const seen: unknown[] = [];
  world.onTrace = () => seen.push(typeof Date.now());
  world.schedule(1, () => {
    seen.push(new Date(86_400_000).toISOString(), Date.parse('1970-01-02'), createHash('sha1').update('x').digest('hex').length, gzipSync('x').length > 0, new Date(0) instanceof Date);
    world.trace('harness', 'may print');
  });
  world.run(10);
  t.deepEqual(seen, ['1970-01-02T00:00:00.000Z', 86_400_000, 40, true, true, 'number']);
  t.true(Date.now() > 0 && new Date().getTime() > 0 && Math.random() < 1 && nanoid().length === 21);
});

test('after an exception everything is allowed again', (t) => {
  const world = new World('guard');
  world.schedule(1, () => {
    throw new Error('of the product');
  });
  t.throws(() => world.run(10), { message: 'of the product' });
  t.true(Date.now() > 0);
});

test('a seed with everything in it runs under it', (t) => {
  const result = runEnsemblePlan(drawPlan('leader-loss', { seed: 'guard', servers: 3 }));
  t.not(result.kind, 'nondeterminism', result.violation?.message);
  t.true(result.events > 1000);
});

// ---------------------------------------------------------------- worlds with promises

test.serial('what an event leaves to promises is done before the next event, however long their chain', async (t) => {
  const world = new World('async');
  const process = new Process(world, 'p');
  process.begin();
  const seen: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    process.schedule(1, () => {
      void (async () => {
        for (let i = 0; i < 50; i++) await Promise.resolve();
        seen.push(`${name} at ${world.nowMs}`);
      })();
    });
  }
  process.schedule(2, () => queueMicrotask(() => process.schedule(0, () => seen.push('later'))));
  await world.runAsync(10);
  t.deepEqual(seen, ['a at 1', 'b at 1', 'c at 1', 'later']);
  t.is(world.nowMs, 10);
});

test.serial('promises that wait for each other over virtual time take the same turns each time', async (t) => {
  const run = async (): Promise<string> => {
    const world = new World('turns');
    const process = new Process(world, 'p');
    process.begin();
    const sleep = (ms: number): Promise<void> => new Promise((resolve) => void process.after(ms, resolve));
    const worker = async (name: string): Promise<void> => {
      for (let i = 0; i < 300; i++) {
        await sleep(world.prng.float() * 3);
        world.trace(name, 'step', { i });
      }
    };
    void Promise.all(['a', 'b', 'c', 'd', 'e'].map(worker));
    await world.runAsync(2000);
    t.true(world.events > 1400);
    return world.traceHash;
  };
  t.is(await run(), await run());
});

test.serial('the real world is out of reach behind an await as well, and stop() is asked after it', async (t) => {
  const world = new World('async');
  const process = new Process(world, 'p');
  process.begin();
  process.schedule(1, () => void (async () => {
    await Promise.resolve();
    await Promise.resolve();
    try {
      Date.now();
    } catch {
      // As careless code does.
    }
  })());
  const error = await t.throwsAsync(world.runAsync(10), { instanceOf: SimulationEscape });
  t.is(error.api, 'Date.now');

  let done = false;
  const other = new World('stop');
  other.schedule(1, () => void (async () => {
    await Promise.resolve();
    done = true;
  })());
  other.schedule(5, () => t.fail());
  await other.runAsync(10, () => done);
  t.is(other.nowMs, 1);
});
