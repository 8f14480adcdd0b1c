/**
 * Damage to what was durable, and what ZAB and our storage can survive of it. Everything here follows from two facts.
 *
 *  1. The journal knows of a lost byte only where something else bears witness that it was durable: a later record, or the state's own note
 *     (coord/storage/journal-recovery.ts). What is written last of all has no witness; rot there is a torn tail, and nothing can tell. So
 *     rot strikes witnessed records, witnessed files, entries of the state and flush notes of the state: there it must be noticed, and the server must be suspect, vote for
 *     nobody and take a SNAP. The state's newest note is its own last witness and stays.
 *  2. A quorum of votes is believed to remember what a quorum of acks promised. A suspect server is in no quorum, so any number of servers may
 *     be suspect without harm to safety; but while a majority is, nobody can lead. With a budget (every profile but bitrot) one disk is
 *     damaged at a time, until its server is well again, so that the ensemble stays recoverable. Without one, liveness cannot be asked.
 *
 * A write that went astray is damage in two places, and each is of the first kind: only witnessed records are struck, and what they are written
 * over. The server may stay up: then its disk counts as damaged until it has come back to it and is well again.
 *
 * A lost disk is more: an empty server knows of no loss, votes and is counted. ZAB has no defence (nor has Apache ZooKeeper). It is
 * survived if all that this server ever promised (its epochs, its log) is durable at every other server, since then any quorum with it holds
 * somebody who remembers. That is the condition here, checked when it strikes. A disk, or a journal, that is again what it was some time
 * ago forgets part of that, and is held to the same. A state that is older than it was forgets nothing: the journal goes on from there, or begins
 * too late and says so. Two swapped disks rename two servers that are both down: every quorum stays a
 * quorum of disks, which is always survived.
 */
import type { FaultAction } from '../plan/plan.ts';
import { isBefore, NOWHERE, readRecord, type JournalRecord, type Position } from '../../coord/storage/journal-record.ts';
import { segmentNumber } from '../../coord/storage/journal-segment.ts';
import { decodeApplied } from '../../coord/storage/state-store.ts';
import { durableJournal } from '../judges/durable-log.ts';
import type { SimServer } from '../world/sim-server.ts';
import type { Arena, Strike } from './arena.ts';

type Rot = Extract<FaultAction, { kind: 'rot' }>['what'];
type Misdirect = Extract<FaultAction, { kind: 'misdirect' }>['what'];
type RollBack = Extract<FaultAction, { kind: 'roll-back' }>['what'];

/** Down, damaged, up again. */
export function rot(arena: Arena, server: SimServer, what: Rot, where: number, downMs: number, strike: Strike): boolean {
  if (!arena.mayDamage(server)) return false;
  // What it will come back to is known only when it is down; whoever is down already stays down for as long as that was planned.
  const wentDown = arena.takeDown(server, strike.id, 'durable');
  arena.onDamage(server, false);
  const damage = harm(server, what, where);
  if (damage !== null) {
    arena.world.trace('nemesis', `${damage} of ${server.process.name}`);
    arena.damaged(server);
  }
  if (wentDown) arena.bringUp(server, strike.id, downMs);
  return wentDown || damage !== null;
}

/** `downMs` null: it stays up. */
export function misdirect(arena: Arena, server: SimServer, what: Misdirect, where: number, downMs: number | null, strike: Strike): boolean {
  if (!arena.mayDamage(server)) return false;
  // While it begins to run, nobody can say what it has read already.
  if (downMs === null && server.process.alive && !server.serving) return false;
  const wentDown = downMs !== null && arena.takeDown(server, strike.id, 'durable');
  arena.onDamage(server, false);
  const damage = what === 'journal' ? misplaceRecord(server, where, strike) : misplaceValue(server, where, strike);
  if (damage !== null) {
    arena.world.trace('nemesis', `${damage} of ${server.process.name}`);
    arena.damaged(server);
  }
  if (wentDown) arena.bringUp(server, strike.id, downMs);
  return wentDown || damage !== null;
}

/** A record lies where another one was, or in what is not written yet, and not in its place. */
function misplaceRecord(server: SimServer, where: number, { prng }: Strike): string | null {
  const records = witnessed(server);
  const record = at(records, where);
  const over = records.length === 0 ? undefined : prng.pick(records);
  if (record === undefined || over === undefined || over === record) return null;
  // Behind the last witnessed record of a file is what nothing bears witness of.
  const end = Math.max(...records.filter(({ segment }) => segment === over.segment).map((each) => each.end));
  const [from, to] = [fileOf(server, record), fileOf(server, over)];
  server.files.misplace(from, record.offset, record.end, to, over.offset, end - over.offset);
  return `the record at ${from}:${record.offset} lies at ${to}:${over.offset}`;
}

function misplaceValue(server: SimServer, where: number, { prng }: Strike): string | null {
  const keys = durableEntries(server);
  const to = at(keys, where);
  const from = keys.length === 0 ? undefined : prng.pick(keys);
  if (to === undefined || from === undefined || from === to) return null;
  server.kvs.store('state').misplace(from, to);
  return `the value of ${from} lies at ${to}`;
}

function fileOf(server: SimServer, { segment }: JournalRecord): string {
  return server.files.names().find((each) => segmentNumber(each) === segment) as string;
}

/** Keys of the state's entries that have a durable value. */
function durableEntries(server: SimServer): readonly string[] {
  const store = server.kvs.store('state');
  const generation = validGeneration(server);
  return store.keys().filter((key) => key.startsWith(`${generation}/`) && store.isDurable(key) && (store.data.get(key)?.length ?? 0) > 0);
}

function harm(server: SimServer, what: Rot, where: number): string | null {
  switch (what) {
    case 'journal': {
      const records = witnessed(server);
      const record = at(records, where);
      if (record === undefined) return null;
      const name = fileOf(server, record);
      const byte = record.offset + Math.floor(fraction(where, records.length) * (record.end - record.offset - 8));
      server.files.flipBits(name, byte, byte + 1);
      return `a bit of ${name}:${byte} flips`;
    }
    case 'journal file': {
      const numbers = new Set(witnessed(server).map(({ segment }) => segment));
      const newest = Math.max(...server.files.names().map((name) => segmentNumber(name) ?? -1));
      const name = at(server.files.names().filter((each) => numbers.has(segmentNumber(each) ?? -1) && segmentNumber(each) !== newest), where);
      if (name === undefined) return null;
      server.files.removeFile(name);
      return `${name} is gone`;
    }
    case 'state value': {
      const store = server.kvs.store('state');
      const keys = durableEntries(server);
      const key = at(keys, where);
      if (key === undefined) return null;
      const length = store.data.get(key)?.length as number;
      store.flipBit(key, Math.floor(fraction(where, keys.length) * length), 3);
      return `a bit of ${key} flips`;
    }
    case 'state batch': {
      // A flush that is gone, and a later one that is there.
      const store = server.kvs.store('state');
      const flushes = store.keys().filter((key) => key.startsWith(`${validGeneration(server)}.flush/`)).slice(0, -1);
      const key = at(flushes, where);
      return key !== undefined && store.loseBatch(key) ? `the batch of ${key} is gone` : null;
    }
  }
}

/** The part of the item that `where` falls on. */
function at<T>(items: readonly T[], where: number): T | undefined {
  return items[Math.min(items.length - 1, Math.floor(where * items.length))];
}
function fraction(where: number, items: number): number {
  return Math.min(0.999, where * items - Math.floor(where * items));
}

/** As the keys name it. */
function validGeneration(server: SimServer): string {
  const applied = server.kvs.store('state').keys().filter((key) => key.endsWith('.applied'));
  return (applied.at(-1) ?? '').slice(0, -'.applied'.length);
}

/** Records of a journal that a later record bears witness to. */
function witnessed(server: SimServer): readonly JournalRecord[] {
  const records = durableRecords(server);
  const witness = newestWitness(records);
  return records.filter((record) => isCovered(record, witness));
}

function isCovered({ segment, end }: JournalRecord, witness: Position): boolean {
  return !isBefore(witness, { segment, offset: end });
}

/** How far the journal was durable, as the records say. */
function newestWitness(records: readonly JournalRecord[]): Position {
  return records.reduce((newest, { durable }) => (isBefore(newest, durable) ? durable : newest), NOWHERE);
}

/** The state's own note of how far the journal was durable. */
function stateWitness(server: SimServer): Position {
  const key = `${validGeneration(server)}.applied`;
  const note = server.kvs.store('state').data.get(key);
  return (note === undefined ? null : decodeApplied(key, note))?.durable ?? NOWHERE;
}

function durableRecords(server: SimServer): readonly JournalRecord[] {
  const records: JournalRecord[] = [];
  for (const name of server.files.names()) {
    const number = segmentNumber(name) ?? -1;
    const bytes = server.files.bytesOf(name);
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let offset = 0; ; ) {
      const record = readRecord(buffer, offset, number, true);
      if (record === null) break;
      records.push(record);
      offset = record.end;
    }
  }
  return records;
}

/** Only if every other server remembers all that this one has promised. */
export function loseDisk(arena: Arena, server: SimServer, downMs: number, strike: Strike): boolean {
  if (!arena.mayDamage(server) || !othersRemember(arena, server)) return false;
  arena.takeDown(server, strike.id, 'durable');
  arena.world.trace('nemesis', `the disk of ${server.process.name} is lost`);
  server.disk.lose();
  arena.damaged(server);
  arena.holdDown(server, strike.id);
  arena.bringUp(server, strike.id, downMs);
  return true;
}

/** Back to the image of its disk, if there is one, and if nothing is forgotten by it that others do not remember. */
export function rollBack(arena: Arena, server: SimServer, what: RollBack, downMs: number, strike: Strike): boolean {
  const image = server.disk.imageOfFiles;
  if (image === null || !arena.mayDamage(server) || (what !== 'state' && !othersRemember(arena, server))) return false;
  if (what === 'journal file') return rollBackFile(arena, server, image, downMs, strike);
  arena.takeDown(server, strike.id, 'durable');
  arena.world.trace('nemesis', `the ${what} of ${server.process.name} is what it was`);
  server.disk.rollBack(what !== 'state', what !== 'journal');
  arena.damaged(server);
  arena.holdDown(server, strike.id);
  arena.bringUp(server, strike.id, downMs);
  return true;
}

/** The file that was the newest when the image was taken: what it has got since is gone, if something bears witness of it. */
function rollBackFile(arena: Arena, server: SimServer, image: ReadonlyMap<string, Uint8Array>, downMs: number, strike: Strike): boolean {
  const wentDown = arena.takeDown(server, strike.id, 'durable');
  arena.onDamage(server, false);
  const names = new Set(server.files.names());
  let isDamaged = false;
  for (const [name, bytes] of image) {
    if (!names.has(name)) continue;
    const records = durableRecords(server);
    const before = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const gone = new Set(records.filter(({ segment, offset }) => segment === segmentNumber(name) && readRecord(before, offset, segment, true) === null));
    // What bears witness must not go with it.
    const witnesses = [stateWitness(server), newestWitness(records.filter((record) => !gone.has(record)))];
    if (![...gone].some((record) => witnesses.some((witness) => isCovered(record, witness)))) continue;
    server.files.bytesOf(name).set(bytes);
    arena.world.trace('nemesis', `${name} of ${server.process.name} is what it was, ${gone.size} records ago`);
    arena.damaged(server);
    isDamaged = true;
    break;
  }
  if (wentDown) arena.bringUp(server, strike.id, downMs);
  return wentDown || isDamaged;
}

/** Every other server remembers all that this one has promised. */
function othersRemember(arena: Arena, server: SimServer): boolean {
  const own = durableJournal(server);
  return arena.servers.every((other) => {
    if (other === server) return true;
    const theirs = durableJournal(other);
    return theirs.lastZxid >= own.lastZxid && theirs.acceptedEpoch >= own.acceptedEpoch && theirs.currentEpoch >= own.currentEpoch;
  });
}

export function swapDisks(arena: Arena, a: SimServer, b: SimServer, downMs: number, strike: Strike): void {
  for (const server of [a, b]) {
    arena.takeDown(server, strike.id, 'durable');
    arena.holdDown(server, strike.id);
  }
  arena.world.trace('nemesis', `${a.process.name} and ${b.process.name} have each other's disk`);
  a.swapDisk(b);
  arena.swapped(a, b);
  for (const server of [a, b]) arena.bringUp(server, strike.id, downMs);
}
