/**
 * A run as data. A plan holds every decision of one run under a name that does not move when the code does: who takes part, what each of them is
 * like, which faults strike when, and which streams of chance are calm. Drawing a plan from a seed (draw.ts) and running it (run/run-plan.ts)
 * are two steps, so that a plan can be written to a file, edited, shrunk and committed, and still means the same after unrelated changes.
 *
 * What is not written out (the latency of each frame, the operations of each client) comes from streams of their own, forked from the seed by
 * the name of the component: `net/server-1>server-2`, `disk/server-3`, `client-4`. A stream in `calm` gives its most ordinary value each time.
 */
import type { Knobs, ServerKnobs } from '../world/knobs.ts';
import type { Mark } from '../world/marks.ts';

/** The name of a process ('server-2', 'jobmanager-1', 'taskmanager-3'; 'kafka' to be cut off from), or who it is when the fault strikes: 'leader', 'follower', 'any', 'master' (the leading job manager), 'worker', and 'it' or 'other': whose event it was that the fault waited for, and the far end of its frame. 'follower as F': a part in a story; whoever is given it is called F from then on; 'follower' and 'any' mean nobody who has a part already. */
export type Target = string;

/**
 * When something happens: all that is given must hold, in this order. `atMs` or `after` open the window; then the nth `event` is waited for;
 * then `plusMs` passes. With `event` and no `plusMs` it strikes within the event: no effect that the process would have had after it happens.
 */
export interface Moment {
  /** Virtual ms since the beginning. */
  readonly atMs?: number;
  /** The fault or operation with this id has struck, or was answered. */
  readonly after?: string;
  readonly event?: EventPattern;
  readonly plusMs?: number;
  /** Then, and only if the fault or operation with this id has not struck, or was not answered, until now; if it has, never. */
  readonly before?: string;
}

/**
 * An event of the world's trace: what the product traces ('Boot', 'State', 'SyncPlan', 'Ack', 'Truncate', 'NewEpoch', 'Established', 'UpToDate',
 * 'Deliver', …), 'send ACK' and 'receive PROPOSAL' for frames between servers, 'durable' for a journal write that the disk has answered,
 * 'flushed' for a state batch.
 */
export interface EventPattern {
  readonly who: Target;
  readonly name: string;
  /** Fields that must be equal. */
  readonly where?: Readonly<Record<string, string | number | boolean>>;
  /** 1 = the next one. */
  readonly nth?: number;
}

/** Durations in virtual ms. A fault undoes itself after `forMs`; a process that went down comes back after `downMs` (null: never in phase 1). */
export type FaultAction =
  /** Loss of power (`keeps: 'durable'`) or SIGKILL (`'page-cache'`). */
  | { readonly kind: 'crash'; readonly on: Target; readonly keeps: 'durable' | 'page-cache'; readonly downMs: number | null }
  /** Several at one instant; each comes back `staggerMs` after the one before it. */
  | { readonly kind: 'power-failure'; readonly on: readonly Target[]; readonly downMs: number; readonly staggerMs: number }
  /** SIGTERM and a start. `knobs`: it comes back with another configuration. */
  | { readonly kind: 'restart'; readonly on: Target; readonly downMs: number; readonly knobs?: Partial<ServerKnobs> }
  /** Whoever is down comes back now. */
  | { readonly kind: 'start'; readonly on: Target }
  /** SIGSTOP, a long collection of garbage, a blocked event loop. */
  | { readonly kind: 'pause'; readonly on: Target; readonly forMs: number }
  /** Nothing passes between the groups; a process that is in no group reaches everyone. `ways`: 'out' cuts what the first group sends, 'in' what it receives. */
  | { readonly kind: 'partition'; readonly groups: readonly (readonly Target[])[]; readonly ways: 'both' | 'out' | 'in'; readonly forMs: number }
  /** Each reaches its neighbours only: everyone sees a majority, no two the same. */
  | { readonly kind: 'ring'; readonly forMs: number }
  /** What is sent waits, and arrives all at once. */
  | { readonly kind: 'clog'; readonly from: Target; readonly to: Target; readonly forMs: number }
  /** All frames to and from it take this much longer. */
  | { readonly kind: 'slow-network'; readonly on: Target; readonly extraMs: number; readonly forMs: number }
  /** Each link to and from it, those of clients too, takes so many bytes a ms (125: a megabit a second): what is sent waits for what was sent before. */
  | { readonly kind: 'bandwidth'; readonly on: Target; readonly bytesPerMs: number; readonly forMs: number }
  /** Connections between the two break; what is on the way is lost, or (`late`) still arrives at the old connection `late` ms afterwards. */
  | { readonly kind: 'break'; readonly from: Target; readonly to: Target; readonly lateMs?: number }
  /** The next frame of this type on the way is lost, and its connection with it. */
  | { readonly kind: 'drop'; readonly from: Target; readonly to: Target; readonly type: string }
  /** A bit of the next frame flips. */
  | { readonly kind: 'corrupt'; readonly from: Target; readonly to: Target }
  | { readonly kind: 'slow-disk'; readonly on: Target; readonly extraMs: number; readonly forMs: number }
  /** The disk answers nothing. */
  | { readonly kind: 'stall-disk'; readonly on: Target; readonly forMs: number }
  | { readonly kind: 'disk-error'; readonly on: Target; readonly what: 'journal write' | 'journal create' | 'journal read' | 'state batch'; readonly times: number }
  | { readonly kind: 'disk-full'; readonly on: Target; readonly forMs: number }
  /** A bit of the journal or the state flips while it is down (crash, rot, start). `where` 0..1: which part of what is there. */
  | { readonly kind: 'rot'; readonly on: Target; readonly what: 'journal' | 'state value' | 'state batch' | 'journal file'; readonly where: number; readonly downMs: number }
  /** A write that was reported durable has gone astray: what it wrote lies in another place, sound in itself. `downMs` null: the server stays up, and finds out when it reads. */
  | { readonly kind: 'misdirect'; readonly on: Target; readonly what: 'journal' | 'state value'; readonly where: number; readonly downMs: number | null }
  /** An image of its disk is taken, as of a machine that loses power then. Nothing is wrong with that: it is what 'roll-back' goes back to. */
  | { readonly kind: 'image-disk'; readonly on: Target }
  /** It comes back to what the image holds: the whole disk, the journal or the state, or the file of the journal that has been written to since. */
  | { readonly kind: 'roll-back'; readonly on: Target; readonly what: 'disk' | 'journal' | 'journal file' | 'state'; readonly downMs: number }
  /** It comes back to an empty disk. */
  | { readonly kind: 'lose-disk'; readonly on: Target; readonly downMs: number }
  /** Two servers come back to each other's disk. */
  | { readonly kind: 'swap-disks'; readonly a: Target; readonly b: Target; readonly downMs: number }
  | { readonly kind: 'clock-jump'; readonly on: Target; readonly byMs: number }
  /** From now on its monotonic clock runs at this rate (0.5 to 2). */
  | { readonly kind: 'clock-rate'; readonly on: Target; readonly rate: number }
  /** Faults of the orchestrator's world; see cluster/. */
  | { readonly kind: 'storage-error'; readonly on: Target; readonly what: 'put' | 'get' | 'list' | 'delete'; readonly times: number }
  | { readonly kind: 'slow-storage'; readonly extraMs: number; readonly forMs: number }
  | { readonly kind: 'kafka-outage'; readonly forMs: number }
  | { readonly kind: 'kafka-leader-move'; readonly partition: number; readonly forMs: number }
  | { readonly kind: 'kafka-lost-ack'; readonly times: number }
  /** The next commits and aborts of transactions come to the coordinator once more, `lateMs` later, when another transaction may have begun. */
  | { readonly kind: 'kafka-late-end'; readonly times: number; readonly lateMs: number }
  /** Somebody else writes to a partition of the input within a transaction, and aborts it then: until that nothing behind its beginning may be read, and of it nothing ever. */
  | { readonly kind: 'kafka-hanging-transaction'; readonly partition: number; readonly forMs: number }
  /** What is old is deleted from a partition of the input: what lies below the newest checkpoint, or all there is, read or not. */
  | { readonly kind: 'kafka-retention'; readonly partition: number; readonly keeps: 'checkpoint' | 'nothing' }
  | { readonly kind: 'poison-record'; readonly partition: number }
  | { readonly kind: 'more-partitions'; readonly partitions: number }
  /** Somebody deletes the znode of the candidate that leads: its session lives on, and it learns of it by a watch. */
  | { readonly kind: 'depose' };

/** One instance of a fault. Its id stays the same when others are taken away. */
export interface FaultPlan {
  readonly id: string;
  readonly when: Moment;
  readonly action: FaultAction;
  /** The place that a story comes by when this strikes. */
  readonly mark?: Mark;
}

/** An operation that is prescribed instead of drawn, for scenarios that tell a story. */
export interface OpPlan {
  readonly id: string;
  readonly when: Moment;
  readonly client: number;
  readonly op: 'connect' | 'disconnect' | 'set' | 'get' | 'sync-get' | 'exists' | 'children' | 'create' | 'create-ephemeral' | 'create-sequential' | 'delete' | 'close' | 'abandon';
  readonly path?: string;
  /** For connect: which server. */
  readonly to?: Target;
  /** How many of it, one after the other. */
  readonly times?: number;
  /** The place that a story comes by when this has been answered, or given up. */
  readonly mark?: Mark;
}

export interface ClientPlan {
  readonly id: number;
  /** 'raw': speaks to the server's core itself, and does what no client should; 'library': the client that ships. */
  readonly kind: 'raw' | 'library';
  /** False: does only what `ops` says. */
  readonly draws: boolean;
  /** Chance that a connection is left, with requests in flight, instead of the next burst. */
  readonly move: number;
  /** Chance that it stalls, for about as long as its session lives. */
  readonly stall: number;
  /** Chance that a session is closed, or a reconnect begins with a wrong password. */
  readonly misbehave: number;
  readonly timeoutMs: number;
  /** Requests that are sent at once, at most, and the pause behind them, at most. */
  readonly burst: number;
  readonly thinkMs: number;
  /** It uses the session of this client. */
  readonly sharesSessionOf?: number;
}

export interface ClockPlan {
  readonly rate: number;
  readonly wallOffMs: number;
}

/** The orchestrator's part of the world; without it there is an ensemble and its clients only. */
export interface ClusterPlan {
  readonly jobManagers: number;
  readonly taskManagers: number;
  readonly slots: number;
  /** A job by name (cluster/jobs.ts). */
  readonly job: string;
  readonly partitions: number;
  readonly records: number;
  readonly checkpointIntervalMs: number;
  readonly parallelism: number;
  /** Of their coord sessions, asked for. */
  readonly jobManagerSessionMs: number;
  readonly taskManagerSessionMs: number;
  /** Virtual ms over which the records come in. */
  readonly feedMs: number;
  /** Of the output's transactions. Without it longer than any outage of a run. */
  readonly transactionTimeoutMs?: number;
  /** Somebody asks the job to stop then: it ends with a last checkpoint, and has put out what that covers. */
  readonly stopAtMs?: number;
  /** How likely each connection to a server comes to grief by itself: it is refused, reset, clogged, half-open. 0 without it. */
  readonly coordRoughness?: number;
  /** Job managers and task managers whose machines lose power at the end of phase 1, for good: the others must do. */
  readonly goneForGood?: readonly string[];
  /** The share of records that come later than the bound on disorder allows: whether they are dropped depends on what is read first. 0 without it. */
  readonly lateRecords?: number;
  /** Output may be lost, as long as the job fails of it. */
  readonly mayLose?: true;
}

export interface Plan {
  readonly version: 1;
  readonly scenario: string;
  readonly seed: string;
  readonly servers: number;
  readonly mutant?: string;
  readonly knobs: Knobs;
  /** By server. */
  readonly serverKnobs: readonly ServerKnobs[];
  readonly clocks: readonly ClockPlan[];
  readonly clients: readonly ClientPlan[];
  readonly cluster?: ClusterPlan;
  readonly ops: readonly OpPlan[];
  readonly faults: readonly FaultPlan[];
  /** Phase 1 (safety under faults) ends here, at the latest. */
  readonly untilMs: number;
  /** Phase 2 heals these servers, a quorum, and makes the faults of all others permanent; absent: heals everyone. */
  readonly core?: readonly number[];
  /** False: disks may be damaged on any number of servers, wherever the journal can know of it. Then there may be no quorum at the end, and only safety is judged. */
  readonly diskBudget?: boolean;
  /** Names of streams that give their most ordinary value each time. */
  readonly calm: readonly string[];
  /** Operations of drawing clients that are drawn and not sent: 'client-2#14', or 'client-2#14-90'. */
  readonly skip: readonly string[];
}
