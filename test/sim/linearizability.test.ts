/** The linearizability checker against histories whose verdict is known, and against a checker that tries every order. */
import test from 'ava';
import fc from 'fast-check';
import { checkLinearizable, type Operation, type SequentialModel } from '../../sim/judges/linearizability.ts';
import { PersistentMap } from '../../sim/judges/persistent-map.ts';
import { znodeModel, type Mutation, type Outcome, type ZnodeOp } from '../../sim/judges/znode-model.ts';
import { Code } from '../../coord/wire/codes.ts';

type At = readonly [callAt: number, returnAt: number];
const NEVER: At[1] = Infinity;

function operation<Op>(op: Op, [callAt, returnAt]: At, more: Partial<Operation<Op>> = {}): Operation<Op> {
  return { op, callAt, returnAt, optional: returnAt === NEVER, after: null, until: null, hint: Infinity, ...more };
}
const mutation = (kind: Mutation['kind'], path: string, value = '', more: Partial<Mutation> = {}): Mutation => ({ kind, path, value, version: -1, ephemeral: false, sequential: false, ...more });
const write = (m: Mutation, outcome: Outcome | null, session = 1n): ZnodeOp => ({ kind: 'write', session, mutations: [m], path: '', outcome });
const read = (path: string, outcome: Outcome, session = 1n): ZnodeOp => ({ kind: 'read', session, mutations: [], path, outcome });
const OK: Outcome = { err: 0 };

function verdict(...history: Operation<ZnodeOp>[]): string {
  return checkLinearizable(znodeModel(true), history).kind;
}
const create = (at: At, value = 'a', path = '/k'): Operation<ZnodeOp> => operation(write(mutation('create', path, value), at[1] === NEVER ? null : OK), at);
const set = (at: At, value: string, outcome: Outcome | null = OK): Operation<ZnodeOp> => operation(write(mutation('set', '/k', value), at[1] === NEVER ? null : outcome), at);
const get = (at: At, data: string | null, path = '/k'): Operation<ZnodeOp> => operation(read(path, data === null ? { err: Code.NONODE } : { err: 0, data }), at);

test('a stale read', (t) => {
  t.is(verdict(create([0, 1]), set([2, 3], 'b'), get([4, 5], 'b')), 'ok');
  t.is(verdict(create([0, 1]), set([2, 3], 'b'), get([4, 5], 'a')), 'illegal');
  // It overlaps the write, and also when it begins in the instant in which the write returns.
  t.is(verdict(create([0, 1]), set([2, 4], 'b'), get([3, 5], 'a')), 'ok');
  t.is(verdict(create([0, 1]), set([2, 4], 'b'), get([4, 5], 'a')), 'ok');
});

test('a read that goes back behind another read', (t) => {
  t.is(verdict(create([0, 1]), set([2, 9], 'b'), get([3, 4], 'b'), get([5, 6], 'b')), 'ok');
  t.is(verdict(create([0, 1]), set([2, 9], 'b'), get([3, 4], 'b'), get([5, 6], 'a')), 'illegal');
});

test('a lost update', (t) => {
  t.is(verdict(create([0, 1]), set([2, 5], 'b', { err: 0, version: 1 }), set([3, 6], 'c', { err: 0, version: 2 })), 'ok');
  t.is(verdict(create([0, 1]), set([2, 5], 'b', { err: 0, version: 1 }), set([3, 6], 'c', { err: 0, version: 1 })), 'illegal');
});

test('a write that is applied twice', (t) => {
  const seen = (version: number): Operation<ZnodeOp> => operation(read('/k', { err: 0, data: 'b', version }), [4, 5]);
  t.is(verdict(create([0, 1]), set([2, 3], 'b'), seen(1)), 'ok');
  t.is(verdict(create([0, 1]), set([2, 3], 'b'), seen(2)), 'illegal');
});

test('two creates that both succeed; with a delete in between they may', (t) => {
  t.is(verdict(create([0, 5]), create([1, 6])), 'illegal');
  const deleted = operation(write(mutation('delete', '/k'), OK), [2, 3]);
  t.is(verdict(create([0, 5]), create([1, 6]), deleted), 'ok');
});

test('deleted, and read afterwards', (t) => {
  const deleted = operation(write(mutation('delete', '/k'), OK), [2, 3]);
  t.is(verdict(create([0, 1]), deleted, get([4, 5], null)), 'ok');
  t.is(verdict(create([0, 1]), deleted, get([4, 5], 'a')), 'illegal');
});

test('an unknown outcome: it must have happened, it cannot have, it happens late', (t) => {
  t.is(verdict(create([0, 1]), set([2, NEVER], 'b'), get([8, 9], 'b')), 'ok');
  t.is(verdict(create([0, 1]), set([2, NEVER], 'b'), get([3, 4], 'a'), get([5, 6], 'b')), 'ok');
  t.is(verdict(create([0, 1]), set([2, NEVER], 'b'), get([3, 4], 'b'), get([5, 6], 'a')), 'illegal');
  t.is(verdict(create([0, 1]), get([2, 3], 'b'), set([4, NEVER], 'b')), 'illegal');
  t.is(verdict(create([0, 1]), set([2, NEVER], 'b'), get([3, 4], 'c')), 'illegal');
});

test('an unknown outcome ends with a later write of its session', (t) => {
  const later = set([4, 5], 'c');
  const lost = set([2, NEVER], 'b');
  t.is(verdict(create([0, 1]), lost, later, get([6, 7], 'b')), 'ok');
  t.is(verdict(create([0, 1]), { ...lost, until: later }, later, get([6, 7], 'b')), 'illegal');
  t.is(verdict(create([0, 1]), { ...lost, until: later }, later, get([6, 7], 'c')), 'ok');
  t.is(verdict(create([0, 1]), { ...lost, returnAt: 5 }, later, get([6, 7], 'c'), get([8, 9], 'b')), 'illegal');
});

test('the order within a session', (t) => {
  const first = set([2, 9], 'b');
  t.is(verdict(create([0, 1]), first, set([2, 9], 'c'), get([10, 11], 'b')), 'ok');
  t.is(verdict(create([0, 1]), first, { ...set([2, 9], 'c'), after: first }, get([10, 11], 'b')), 'illegal');
  // What one session reads may be old, and never goes back.
  const old = get([0, 7], 'a');
  t.is(verdict(create([0, 1]), set([2, 3], 'b'), old, { ...get([0, 9], 'b'), after: old }), 'ok');
  const fresh = get([0, 7], 'b');
  t.is(verdict(create([0, 1]), set([2, 3], 'b'), fresh, { ...get([0, 9], 'a'), after: fresh }), 'illegal');
});

test('children, sequence numbers, and what a parent forbids', (t) => {
  const numbered = (at: At, path: string): Operation<ZnodeOp> => operation(write(mutation('create', '/q/s-', '', { sequential: true }), { err: 0, created: [path] }), at);
  const children = (at: At, ...names: string[]): Operation<ZnodeOp> => operation({ kind: 'children', session: 1n, mutations: [], path: '/q', outcome: { err: 0, children: names } }, at);
  const parent = create([0, 1], '', '/q');
  t.is(verdict(parent, numbered([2, 3], '/q/s-0000000000'), numbered([4, 5], '/q/s-0000000001'), children([6, 7], 's-0000000001', 's-0000000000')), 'ok');
  t.is(verdict(parent, numbered([2, 3], '/q/s-0000000001'), numbered([4, 5], '/q/s-0000000000')), 'illegal');
  t.is(verdict(parent, numbered([2, 3], '/q/s-0000000000'), numbered([4, 5], '/q/s-0000000000')), 'illegal');
  t.is(verdict(parent, numbered([2, 3], '/q/s-0000000000'), children([4, 5])), 'illegal');
  const deleteParent = (err: number): Operation<ZnodeOp> => operation(write(mutation('delete', '/q'), { err }), [4, 5]);
  t.is(verdict(parent, numbered([2, 3], '/q/s-0000000000'), deleteParent(Code.NOTEMPTY)), 'ok');
  t.is(verdict(parent, numbered([2, 3], '/q/s-0000000000'), deleteParent(0)), 'illegal');
});

test('multi: all or nothing', (t) => {
  const multi = (at: At, outcome: Outcome | null, ...mutations: Mutation[]): Operation<ZnodeOp> => operation({ kind: 'multi', session: 1n, mutations, path: '', outcome }, at);
  const two = [mutation('create', '/a', '1'), mutation('create', '/k', '2')];
  t.is(verdict(multi([0, 1], OK, ...two), get([2, 3], '1', '/a'), get([4, 5], '2')), 'ok');
  t.is(verdict(multi([0, 1], OK, ...two), get([2, 3], null, '/a')), 'illegal');
  const failed: Outcome = { err: Code.NODEEXISTS, failedAt: 1 };
  t.is(verdict(create([0, 1]), multi([2, 3], failed, ...two), get([4, 5], null, '/a')), 'ok');
  t.is(verdict(create([0, 1]), multi([2, 3], failed, ...two), get([4, 5], '1', '/a')), 'illegal');
  t.is(verdict(multi([2, 3], failed, ...two)), 'illegal');
  t.is(verdict(multi([2, NEVER], null, ...two), get([4, 5], '1', '/a'), get([6, 7], null)), 'illegal');
});

test('a session that ends takes its ephemerals with it, and nothing of it happens afterwards', (t) => {
  const ephemeral = (path: string, at: At): Operation<ZnodeOp> => operation(write(mutation('create', path, 'e', { ephemeral: true }), at[1] === NEVER ? null : OK, 7n), at);
  const end = (at: At): Operation<ZnodeOp> => operation({ kind: 'end-session', session: 7n, mutations: [], path: '', outcome: OK }, at);
  t.is(verdict(ephemeral('/a', [0, 1]), ephemeral('/b', [0, 1]), end([2, 9]), get([3, 4], null, '/a'), get([5, 6], null, '/b')), 'ok');
  t.is(verdict(ephemeral('/a', [0, 1]), ephemeral('/b', [0, 1]), end([2, 9]), get([3, 4], null, '/a'), get([5, 6], 'e', '/b')), 'illegal');
  t.is(verdict(ephemeral('/a', [0, 1]), end([2, 3]), get([4, 5], 'e', '/a')), 'illegal');
  t.is(verdict(ephemeral('/a', [0, NEVER]), end([2, 3]), get([4, 5], null, '/a')), 'ok');
  t.is(verdict(ephemeral('/a', [0, NEVER]), end([2, 3]), get([4, 5], 'e', '/a')), 'illegal');
});

test('an illegal history names what does not fit', (t) => {
  const stale = get([4, 5], 'a');
  const found = checkLinearizable(znodeModel(true), [create([0, 1]), set([2, 3], 'b'), stale, get([6, 7], 'b')]);
  t.is(found.kind, 'illegal');
  if (found.kind !== 'illegal') return;
  t.is(found.longest.length, 2);
  t.is(found.stuck[0], stale);
});

test('it gives up after its budget, at the same step each time', (t) => {
  const writes = Array.from({ length: 12 }, (_, i) => set([2, 50], `v${i}`));
  const history = [create([0, 1]), ...writes, get([60, 61], 'nothing of these')];
  const first = checkLinearizable(znodeModel(true), history, 5000);
  t.deepEqual(first, { kind: 'unknown', steps: 5001 });
  t.deepEqual(checkLinearizable(znodeModel(true), history, 5000), first);
});

// ------------------------------------------------------------ against every order there is

/** Two registers with compare-and-set, small enough to try everything. */
type RegisterOp = { readonly on: 0 | 1 } & ({ readonly type: 'write'; readonly value: number } | { readonly type: 'cas'; readonly from: number; readonly to: number; readonly ok: boolean | null } | { readonly type: 'read'; readonly value: number });
/** Their values, as digits. */
const register: SequentialModel<number, RegisterOp> = {
  init: 0,
  step: (state, op) => {
    const own = op.on === 0 ? state % 10 : Math.floor(state / 10);
    const become = (value: number): number => (op.on === 0 ? state - own + value : state + 10 * (value - own));
    if (op.type === 'write') return become(op.value);
    if (op.type === 'read') return op.value === own ? state : null;
    const fits = op.from === own;
    if (op.ok !== null && op.ok !== fits) return null;
    return fits ? become(op.to) : state;
  },
  readsOnly: (op) => op.type === 'read' || (op.type === 'cas' && op.ok === false),
  hash: (state) => state,
  equal: (a, b) => a === b,
  commute: (a, b) => a.on !== b.on,
  likeness: (op) => JSON.stringify(op),
};
function valueOf(state: number, { on }: RegisterOp): number {
  return on === 0 ? state % 10 : Math.floor(state / 10);
}

function tryEveryOrder<State, Op>(model: SequentialModel<State, Op>, history: readonly Operation<Op>[]): boolean {
  const go = (state: State, done: readonly Operation<Op>[]): boolean => {
    const left = history.filter((each) => !done.includes(each));
    if (left.every(({ optional }) => optional)) return true;
    return left.some((each) => {
      if (left.some((other) => !other.optional && other.returnAt < each.callAt)) return false;
      if (each.optional && done.some((before) => !before.optional && before.callAt > each.returnAt)) return false;
      if (each.after !== null && !done.includes(each.after)) return false;
      if (each.optional && each.until !== null && done.includes(each.until)) return false;
      const next = model.step(state, each.op);
      return next !== null && go(next, [...done, each]);
    });
  };
  return go(model.init, []);
}

const value = fc.integer({ min: 0, max: 2 });
const on = fc.constantFrom(0 as const, 0 as const, 1 as const);
const registerOp: fc.Arbitrary<RegisterOp> = fc.oneof(
  fc.record({ on, type: fc.constant('write' as const), value }),
  fc.record({ on, type: fc.constant('read' as const), value }),
  fc.record({ on, type: fc.constant('cas' as const), from: value, to: value, ok: fc.boolean() }),
);
const drawn = fc.record({ op: registerOp, callAt: fc.integer({ min: 0, max: 12 }), takes: fc.integer({ min: 0, max: 6 }), lost: fc.integer({ min: 0, max: 5 }), link: fc.integer({ min: -6, max: 6 }), hint: fc.integer({ min: 0, max: 10 }) });

test('on small histories it says what trying every order says', (t) => {
  let legal = 0;
  let illegal = 0;
  fc.assert(
    fc.property(fc.array(drawn, { maxLength: 7 }), (entries) => {
      const history: Operation<RegisterOp>[] = [];
      for (const { op, callAt, takes, lost, link, hint } of entries) {
        const optional = lost === 0 && op.type !== 'read';
        const linked = history[Math.abs(link)];
        const mandatory = linked !== undefined && !linked.optional ? linked : null;
        history.push({
          op: optional && op.type === 'cas' ? { ...op, ok: null } : op, callAt, returnAt: optional ? (takes === 0 ? callAt + 3 : Infinity) : callAt + takes, optional,
          after: link > 0 ? mandatory : null, until: optional && link < 0 ? mandatory : null, hint: hint > 8 ? Infinity : hint,
        });
      }
      const expected = tryEveryOrder(register, history);
      if (expected) legal++;
      else illegal++;
      const found = checkLinearizable(register, history);
      t.is(found.kind, expected ? 'ok' : 'illegal');
      if (found.kind !== 'ok') return;
      let state = register.init;
      for (const { op } of found.order) {
        const next = register.step(state, op);
        t.not(next, null);
        state = next as number;
      }
    }),
    { numRuns: 3000, seed: 1 },
  );
  t.true(legal > 300 && illegal > 300, `${legal} legal, ${illegal} illegal`);
});

test('what a real sequential object did is accepted, however the calls overlap; with one answer changed it is judged as by trying every order', (t) => {
  let rejected = 0;
  const step = fc.record({ op: registerOp, before: fc.integer({ min: 0, max: 5 }), behind: fc.integer({ min: 0, max: 5 }), lost: fc.integer({ min: 0, max: 6 }) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 7 }), fc.nat(), (steps, which) => {
      let state = 0;
      const history = steps.map(({ op, before, behind, lost }, i): Operation<RegisterOp> => {
        const happened: RegisterOp = op.type === 'read' ? { ...op, value: valueOf(state, op) } : op.type === 'cas' ? { ...op, ok: op.from === valueOf(state, op) } : op;
        state = register.step(state, happened) as number;
        const optional = lost === 0 && op.type !== 'read';
        return operation(optional && happened.type === 'cas' ? { ...happened, ok: null } : happened, [i - before, optional ? Infinity : i + behind], { hint: i });
      });
      t.is(checkLinearizable(register, history).kind, 'ok');
      const changed = history.map((each, i): Operation<RegisterOp> => {
        if (i !== which % history.length) return each;
        const { op } = each;
        return { ...each, op: op.type === 'read' ? { ...op, value: (op.value + 1) % 3 } : op.type === 'cas' ? { ...op, ok: op.ok === null ? null : !op.ok } : { ...op, value: (op.value + 1) % 3 } };
      });
      const legal = tryEveryOrder(register, changed);
      if (!legal) rejected++;
      t.is(checkLinearizable(register, changed).kind, legal ? 'ok' : 'illegal');
    }),
    { numRuns: 1500, seed: 2 },
  );
  t.true(rejected > 100, `${rejected} rejected`);
});

test('a persistent map keeps every version', (t) => {
  const change = fc.record({ from: fc.nat(), key: fc.integer({ min: 0, max: 4 }), value: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      const versions: { map: PersistentMap<number, number>; expected: Map<number, number> }[] = [{ map: new PersistentMap(), expected: new Map() }];
      for (const { from, key, value } of changes) {
        const { map, expected } = versions[from % versions.length] as (typeof versions)[number];
        const copy = new Map(expected);
        if (value === undefined) copy.delete(key);
        else copy.set(key, value);
        versions.push({ map: map.with(key, value), expected: copy });
      }
      for (const { map, expected } of versions) t.deepEqual([...map.entries()].sort(), [...expected].sort());
    }),
    { numRuns: 500, seed: 3 },
  );
});
