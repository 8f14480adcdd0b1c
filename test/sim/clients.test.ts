/** Clients in the world: prescribed operations, drawn ones that are left out, and the profile that torments servers with clients. */
import test from 'ava';
import type { Recorder } from '../../sim/record/recorder.ts';
import { drawPlan } from '../../sim/plan/draw.ts';
import { quietPlan } from '../../sim/plan/draft.ts';
import type { OpPlan, Plan } from '../../sim/plan/plan.ts';
import { runEnsemblePlan } from '../../sim/run/run-ensemble.ts';

const base = (kind: 'raw' | 'library', clients = 1): Plan => {
  const plan = quietPlan('clients', { seed: '1', servers: 3 }, clients);
  return { ...plan, untilMs: 3000, clients: plan.clients.map((client) => ({ ...client, kind })) };
};

for (const kind of ['raw', 'library'] as const) {
  test(`a ${kind} client does what a story prescribes, one after the other, and moments wait for it`, (t) => {
    const op = (id: string, what: OpPlan['op'], more: Partial<OpPlan> = {}): OpPlan => ({ id, client: 1, op: what, when: {}, ...more });
    const ops: OpPlan[] = [
      op('connect', 'connect', { to: 'server-2', when: { atMs: 500 } }), op('create', 'create', { path: '/k0' }), op('sets', 'set', { path: '/k0', times: 10 }), op('read', 'sync-get', { path: '/k0' }),
      op('ephemeral', 'create-ephemeral', { path: '/e0', when: { after: 'sets' } }), op('away', 'disconnect', { when: { after: 'ephemeral' } }), op('back', 'connect', { when: { after: 'away', plusMs: 100 } }),
      op('close', 'close', { when: { after: 'back' } }), op('last', 'create', { path: '/last', when: { after: 'close' } }),
    ];
    const result = runEnsemblePlan({ ...base(kind), ops });
    t.is(result.kind, 'ok', result.violation?.message);
    // create, ten sets, the ephemeral, the close, the last one.
    t.is(result.acked, 14);
    t.is(result.marks['session closed'], 1);
    t.is(result.marks['ephemeral ended'], 1);
  });
}

test('what is left out of the drawn operations moves no other', (t) => {
  const operations = (skip: string[]): string[] => {
    const seen: string[] = [];
    const plan = base('raw');
    const operation: Recorder['operation'] = (lane, kind, path) => {
      if (lane === 'client-1') seen.push(`${kind} ${path}`);
    };
    const recorder = new Proxy({} as Recorder, { get: (_target, name) => (name === 'operation' ? operation : () => 0) });
    const result = runEnsemblePlan({ ...plan, skip, clients: plan.clients.map((client) => ({ ...client, draws: true, burst: 1 })) }, { recorder });
    t.is(result.kind, 'ok', result.violation?.message);
    return seen;
  };
  const all = operations([]);
  const without = operations(['client-1#5-30']);
  t.true(all.length > 50);
  t.deepEqual(without.slice(0, 20), [...all.slice(0, 4), ...all.slice(30, 46)]);
});

test('the profile client: seeds of it hold', (t) => {
  for (const seed of ['1', '2', '3']) {
    const result = runEnsemblePlan(drawPlan('client', { seed, servers: 3 }));
    t.true(result.kind === 'ok' || result.kind === 'gave-up', `seed ${seed}: ${result.violation?.invariant} ${result.violation?.message}`);
  }
});

test('sessions that two clients share, of both kinds', (t) => {
  const plan = base('library', 3);
  const clients = plan.clients.map((client) => ({ ...client, draws: true, move: 0.2, misbehave: 0.02, kind: client.id === 2 ? 'raw' as const : 'library' as const, ...(client.id > 1 ? { sharesSessionOf: 1 } : {}) }));
  const result = runEnsemblePlan({ ...plan, clients });
  t.is(result.kind, 'ok', result.violation?.message);
  t.true(result.marks['session shared'] > 0);
  t.true(result.marks['SESSIONMOVED'] + result.marks['revalidated'] > 0);
});
