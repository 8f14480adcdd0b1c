/**
 * Short random histories: crashes that lose what was not durable, cuts, deliveries in any order across channels, slow disks, purged logs,
 * small windows. After each the network heals and the ensemble must serve again and agree.
 */
import test from 'ava';
import { Prng } from '../../../coord/base/prng.ts';
import { Ensemble } from './ensemble.ts';

const SEEDS = Number(process.env['DREY_ZAB_SEEDS'] ?? 200);
const FIRST = Number(process.env['DREY_ZAB_FIRST'] ?? 1);

for (const part of [0, 1, 2, 3]) {
  test(`agreement, no committed group lost, progress after healing: part ${part} of 4`, (t) => {
    for (let seed = FIRST + part; seed < FIRST + SEEDS; seed += 4) {
      try {
        run(seed);
      } catch (error) {
        t.log(`seed ${seed}: DREY_ZAB_FIRST=${seed} DREY_ZAB_SEEDS=1`);
        if (SEEDS === 1) t.log(ensembleOut.join('\n'));
        throw error;
      }
    }
    t.pass();
  });
}

let ensembleOut: string[] = [];

function run(seed: number): void {
  const prng = new Prng(`zab/${seed}`);
  const size = prng.pick([1, 3, 3, 3, 5]);
  const ensemble = new Ensemble(size, { recentBytesMax: prng.pick([0, 40, 1 << 20]), learnerWindowBytes: prng.pick([1, 24, 1 << 20]) });
  ensembleOut = ensemble.out;
  const sids = [...ensemble.servers.keys()];
  for (const sid of sids) ensemble.start(sid);
  const crashes = prng.pick([0.002, 0.01, 0.03]);
  const steps = prng.between(300, 4000);
  for (let i = 0; i < steps; i++) {
    move(ensemble, prng);
    if (prng.chance(crashes)) disturb(ensemble, prng, sids);
  }
  heal(ensemble, prng, sids);
}

/** One thing happens somewhere. */
function move(ensemble: Ensemble, prng: Prng): void {
  const dice = prng.below(100);
  if (dice < 62) {
    const ready = ensemble.lanes.filter((lane) => lane.items.length > 0);
    if (ready.length > 0) ensemble.deliver(prng.pick(ready));
    else tick(ensemble, prng.between(1, 30));
  } else if (dice < 76) {
    const writing = ensemble.running.filter((server) => server.disk.pending.length > 0);
    if (writing.length > 0) {
      const server = prng.pick(writing);
      ensemble.sync(server.sid, prng.between(1, server.disk.pending.length));
    }
  } else if (dice < 82) {
    if (ensemble.chores.length > 0) ensemble.runChore(prng.pick(ensemble.chores), !prng.chance(0.1));
  } else if (dice < 92) {
    const leaders = ensemble.running.filter((server) => server.serving === 'leader');
    if (leaders.length > 0) ensemble.propose(prng.pick(leaders).sid, prng.between(1, 3), prng.between(1, 30));
  } else if (dice < 96) {
    tick(ensemble, prng.between(1, 40));
  } else if (ensemble.running.length > 0) {
    const { disk, delivered, peer } = prng.pick(ensemble.running);
    const target = delivered.length > 0 ? prng.pick(delivered).lastZxid : 0;
    disk.flush(delivered, target);
    if (prng.chance(0.3)) disk.purge(prng.chance(0.7) ? peer?.journalNeededAfter : Infinity);
  }
}

/** A damaged log: only its flushed state is left, and it must not be trusted with a vote. One at a time, or more is lost than there are copies. */
function damage(ensemble: Ensemble, sid: number): void {
  if (ensemble.servers.size < 3 || [...ensemble.servers.values()].some(({ disk }) => disk.suspect)) return;
  const { disk } = ensemble.server(sid);
  disk.log = disk.log.filter((group) => group.lastZxid <= disk.appliedZxid);
  disk.suspect = true;
}

function disturb(ensemble: Ensemble, prng: Prng, sids: readonly number[]): void {
  const sid = prng.pick(sids);
  const server = ensemble.server(sid);
  const other = prng.pick(sids);
  const dice = prng.below(10);
  if (dice < 4) {
    if (server.peer === null) ensemble.start(sid);
    else {
      ensemble.crash(sid, prng.below(server.disk.pending.length + 1));
      if (prng.chance(0.15)) damage(ensemble, sid);
    }
  } else if (dice < 6 && sid !== other) {
    if (ensemble.isCut(sid, other)) ensemble.heal(sid, other);
    else ensemble.cut(sid, other);
  } else if (dice < 7 && ensemble.lanes.length > 0) {
    ensemble.breakChannel(prng.pick(ensemble.lanes).channel);
  } else if (dice < 8) {
    for (const a of sids) for (const b of sids) if (ensemble.isCut(a, b)) ensemble.heal(a, b);
  } else if (server.peer !== null) {
    failDisk(ensemble, prng, sid);
  }
}

/** The journal fails at a random op, and the server starts again at once, as the driver does it. */
function failDisk(ensemble: Ensemble, prng: Prng, sid: number): void {
  ensemble.crash(sid, prng.below(ensemble.server(sid).disk.pending.length + 1));
  ensemble.start(sid);
}

function tick(ensemble: Ensemble, ms: number): void {
  ensemble.nowMs += ms;
  for (const server of ensemble.running) if (server.deadlineMs <= ensemble.nowMs) ensemble.step(server.sid, { type: 'clock' });
  ensemble.reconnect();
}

function heal(ensemble: Ensemble, prng: Prng, sids: readonly number[]): void {
  ensemble.cuts.clear();
  for (const sid of sids) if (ensemble.server(sid).peer === null) ensemble.start(sid);
  const untilMs = ensemble.nowMs + 30_000;
  while (ensemble.nowMs < untilMs) {
    settle(ensemble, prng);
    if (isWhole(ensemble)) break;
    tick(ensemble, 10);
  }
  const leader = ensemble.running.find((server) => server.serving === 'leader');
  if (leader === undefined || !isWhole(ensemble)) {
    throw new Error(`no progress after healing: ${ensemble.running.map(({ sid, serving, epoch }) => `${sid} ${serving} ${epoch}`).join(', ')}`);
  }
  const before = ensemble.judges.committed.length;
  ensemble.propose(leader.sid);
  settle(ensemble, prng);
  if (ensemble.judges.committed.length <= before) throw new Error('the healed ensemble commits nothing');
  const last = ensemble.judges.committed.at(-1);
  for (const server of ensemble.running) {
    if (server.delivered.at(-1) !== last || server.delivered.length !== ensemble.judges.committed.length) throw new Error(`${server.sid} did not converge`);
  }
}

/** One leader, and everyone with it; an isolated old leader may take its time to notice. */
function isWhole({ running }: Ensemble): boolean {
  const leaders = running.filter((server) => server.serving === 'leader');
  return leaders.length === 1 && running.every((server) => server.serving !== 'no' && server.epoch === leaders[0]?.epoch);
}

/** Until nothing is under way. */
function settle(ensemble: Ensemble, prng: Prng): void {
  for (let i = 0; i < 100_000; i++) {
    for (const server of ensemble.running) if (server.disk.pending.length > 0) ensemble.sync(server.sid);
    for (const chore of ensemble.chores.slice()) ensemble.runChore(chore);
    const ready = ensemble.lanes.filter((lane) => lane.items.length > 0);
    if (ready.length === 0) {
      if (ensemble.chores.length === 0 && ensemble.running.every((server) => server.disk.pending.length === 0)) return;
    } else {
      ensemble.deliver(prng.pick(ready));
    }
  }
  throw new Error('the conversation does not end');
}
