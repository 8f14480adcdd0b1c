import test from 'ava';
import { Recording } from '../../sim/record/recording.ts';
import { divergence } from '../../sim/view/page/divergence.ts';
import { duration, itemOf, itemName, RunModel, short, type Item } from '../../sim/view/page/run-model.ts';

const Z = 2 ** 32;

/** A write that goes through an ensemble of two, `changed` differently at the end. */
function made(change: (recording: Recording) => void = () => {}, keep = 1000): RunModel {
  const recording = new Recording({ keep });
  recording.lane('nemesis', 'nemesis');
  recording.lane('client-1', 'client');
  for (const id of ['server-10', 'server-2', 'server-1']) recording.lane(id, 'server');
  for (let beat = 0; beat < 40; beat++) recording.message('server-1', 'server-2', 'HEARTBEAT', beat, beat + 0.1, {});
  recording.event(1, 'server-1', 'Broadcast', { zxid: Z + 3 });
  const proposal = recording.sent('server-1', 'server-2', 'PROPOSAL', 1, { zxid: '0x100000003' });
  recording.arrived(proposal, 2, false);
  recording.message('server-2', 'server-1', 'ACK', 3, 4, { zxid: '0x100000003' });
  recording.event(4, 'server-1', 'Deliver', { zxid: Z + 3 });
  recording.event(6, 'server-2', 'Deliver', { zxid: Z + 3 });
  recording.operation('client-1', 'set', '/a', 0.5, 5, 'OK', Z + 2);
  recording.operation('client-1', 'get', '/a', 0.6, 5.5, 'OK', Z + 3);
  recording.operation('client-1', 'set', '/b', 0.7, null, 'unknown', 0);
  recording.event(10, 'server-1', 'Boot', {});
  change(recording);
  recording.event(50, 'server-1', 'end', {});
  return new RunModel(recording.recorded());
}
const lines = (model: RunModel, items: readonly Item[]): string[] => items.map((item) => model.line(item));

test('lanes are in order, operations that overlap lie beneath each other', (t) => {
  const model = made();
  t.deepEqual(model.lanes.map(({ name }) => name), ['nemesis', 'server 1', 'server 2', 'server 10', 'client 1']);
  t.deepEqual([...model.row], [0, 1, 2]);
});

test('a write takes effect where the first server delivers it, a read and an unknown write nowhere', (t) => {
  t.deepEqual([...made().committedAt], [4000, -1, -1]);
});

test('the life of a zxid is all that names it, in order of time', (t) => {
  const model = made();
  t.deepEqual(lines(model, model.sameZxid('0x100000003')), [
    'client 1  get /a 1:3', 'server 1  Broadcast 1:3', 'server 1 → server 2  PROPOSAL 1:3', 'server 2 → server 1  ACK 1:3', 'server 1  Deliver 1:3', 'server 2  Deliver 1:3',
  ]);
});

test('a search finds words of names, lanes and contents, and zxids as they are shown', (t) => {
  const model = made();
  t.deepEqual(lines(model, model.search('deliver server 2')), ['server 2  Deliver 1:3']);
  t.deepEqual(lines(model, model.search('1:3 proposal')), ['server 1 → server 2  PROPOSAL 1:3']);
  t.deepEqual(lines(model, model.search('unknown')), ['client 1  set /b']);
  t.deepEqual(model.search('  '), []);
  t.deepEqual(model.search('no such thing'), []);
});

test('two runs part at the first step that is not the same', (t) => {
  const base = made();
  t.is(divergence(base, made()), null);
  // The fault itself is no step, and heartbeats are not compared.
  t.is(divergence(base, made((r) => {
    r.event(11, 'nemesis', 'crash', { on: 'server-2' });
    r.message('server-1', 'server-2', 'PING', 12, 13, {});
  })), null);
  const other = made((r) => r.event(20, 'server-2', 'LeftLeader', {}));
  t.like(divergence(base, other), { at: 20_000, here: null });
  t.is(other.title(divergence(base, other)?.there as Item), 'LeftLeader');
  t.is(divergence(other, base)?.there, null);
  const both = divergence(made((r) => r.event(20, 'server-2', 'UpToDate', { zxid: 1 })), made((r) => r.event(20, 'server-2', 'UpToDate', { zxid: 2 })));
  t.true(both?.here !== null && both?.there !== null);
  // A message says it too, when it is the first to.
  const lost = made((r) => {
    r.sent('server-1', 'server-2', 'COMMIT', 15, {});
    r.event(20, 'server-2', 'LeftLeader', {});
  });
  t.like(divergence(base, lost), { at: 15_000, there: { type: 'message' } });
});

test('what one of two recordings has let go of is not taken for a difference', (t) => {
  // So few are kept of each that heartbeats go, and the beginning of the events.
  const events = (r: Recording): void => {
    for (let ms = 11; ms < 30; ms++) r.event(ms, 'server-1', 'Deliver', { zxid: Z + ms });
  };
  const few = made(events, 8);
  t.true(few.run.leftOut.some(({ what }) => what === 'heartbeats') && few.run.leftOut.some(({ what }) => what === 'events'));
  t.is(divergence(made(events), few), null);
  t.like(divergence(made((r) => (events(r), r.event(35, 'server-2', 'crash', {}))), few), { at: 35_000 });
});

test('what is shown: short zxids, durations, names of items', (t) => {
  t.deepEqual([short('0x500000003'), short('0x0')], ['5:3', '0:0']);
  t.deepEqual([duration(12), duration(1960), duration(15_200), duration(2_500_000)], ['12 µs', '1.96 ms', '15.2 ms', '2.50 s']);
  t.deepEqual(itemOf(itemName({ type: 'message', no: 12 })), { type: 'message', no: 12 });
  t.deepEqual([itemOf('x1'), itemOf('m1.5'), itemOf('mx')], [null, null, null]);
});
