/**
 * A zxid is a safe-integer number: epoch * 2^32 + counter, counter an unsigned 32-bit number, epoch < 2^21.
 * The first txn of an epoch has counter 1. Zxids that arrive from clients (lastZxidSeen, relativeZxid) are foreign
 * 64-bit numbers; codecs turn them into numbers with {@link foreignZxid}, which saturates instead of asserting.
 */
import { assert } from './assert.ts';

export type Zxid = number;

export const COUNTER_MAX = 0xffff_ffff;
export const EPOCH_MAX = 2 ** 21 - 1;
const TWO_32 = 2 ** 32;

export function makeZxid(epoch: number, counter: number): Zxid {
  assert(Number.isInteger(epoch) && epoch >= 0 && epoch <= EPOCH_MAX, `epoch out of range: ${epoch}`);
  assert(Number.isInteger(counter) && counter >= 0 && counter <= COUNTER_MAX, `zxid counter out of range: ${counter}`);
  return epoch * TWO_32 + counter;
}

export function zxidEpoch(zxid: Zxid): number {
  return Math.floor(zxid / TWO_32);
}

export function zxidCounter(zxid: Zxid): number {
  return zxid % TWO_32;
}

/** As ZooKeeper prints it: 0x with lower-case hex digits. */
export function formatZxid(zxid: Zxid): string {
  return `0x${zxid.toString(16)}`;
}

/** A zxid given by a client as signed high and unsigned low half; what exceeds our range saturates. */
export function foreignZxid(high: number, low: number): Zxid {
  if (high < 0) return 0;
  if (high > EPOCH_MAX) return Number.MAX_SAFE_INTEGER;
  return high * TWO_32 + low;
}
