/** Hostile settings, drawn once per seed: what takes hours or gigabytes in production happens within seconds. The ensemble shares them, except what is a server's own. */
import type { Prng } from '../../coord/base/prng.ts';
import { COUNTER_MAX, EPOCH_MAX } from '../../coord/base/zxid.ts';

export interface Knobs {
  /** Tiny segments roll often. */
  readonly segmentBytes: number;
  /** 0: whoever lags takes SNAP. */
  readonly keepBytes: number;
  /** Tiny: DIFF comes from the journal. */
  readonly recentBytesMax: number;
  readonly learnerWindowBytes: number;
  readonly detectMs: number;
  readonly heartbeatMs: number;
  readonly electionGraceMs: number;
  readonly progressMs: number;
  /** Txns of an epoch, after which its leader gives way. */
  readonly epochTxnsMax: number;
  /** Znodes that are there before the first server starts; 0 = fresh disks. */
  readonly znodesBefore: number;
  /** The zxid that they end at: large ones are near the limits of its fields. Absent: epoch 3, counter 70000 and a few. */
  readonly epochBefore?: number;
  readonly counterBefore?: number;
  readonly jitterMs: number;
  /** How long a disk takes: on slow ones more is in flight when the power goes. */
  readonly writeMs: readonly [min: number, max: number];
}

export interface ServerKnobs {
  readonly flushEntriesMax: number;
  readonly flushIntervalMs: number;
}

export function drawKnobs(prng: Prng): Knobs {
  const aged = prng.fork('aged');
  const knobs = {
    segmentBytes: prng.pick([8 << 10, 16 << 10, 64 << 10, 256 << 10]),
    keepBytes: prng.pick([0, 0, 16 << 10, 64 << 20]),
    recentBytesMax: prng.pick([256, 2048, 64 << 10]),
    learnerWindowBytes: prng.pick([600, 8 << 10, 4 << 20]),
    detectMs: prng.pick([500, 1000]),
    heartbeatMs: prng.pick([100, 200]),
    electionGraceMs: prng.pick([10, 50]),
    progressMs: prng.pick([120, 250]),
    epochTxnsMax: prng.chance(0.2) ? prng.between(50, 500) : 0xffff_ffff - (1 << 20),
    znodesBefore: prng.chance(0.3) ? prng.between(10, 600) : 0,
    jitterMs: prng.pick([0.2, 1, 5]),
    writeMs: prng.pick([[0.1, 1], [0.1, 1], [1, 8], [2, 30]] as const),
    // Room is left for the epochs of a run: when they are exhausted, nobody leads.
    ...(aged.chance(0.5) ? { epochBefore: aged.pick([1, 0xffff, EPOCH_MAX - 2000]), counterBefore: aged.pick([1000, 0x7fff_ffff, COUNTER_MAX]) } : {}),
  };
  // Epochs of a quarter of a second: a learner that is sent 600 bytes a round trip falls behind by more than it catches up between two of them.
  return knobs.epochTxnsMax <= 500 && knobs.learnerWindowBytes < 8 << 10 ? { ...knobs, learnerWindowBytes: 8 << 10 } : knobs;
}

export function drawServerKnobs(prng: Prng): ServerKnobs {
  return { flushEntriesMax: prng.pick([5, 50, 1000]), flushIntervalMs: prng.pick([10, 100, 500, 3000]) };
}
