/** What came of a run. */
import type { Mark } from '../world/marks.ts';
import type { TraceEntry, Violation } from '../world/world.ts';
import type { Believed, ClientHistory } from '../judges/client-history.ts';
import type { Recorder } from '../record/recorder.ts';

/** 'nondeterminism': simulated code reached for the real world (world/guard.ts). 'gave-up': the linearizability checker ran out of time. */
export type Outcome = 'ok' | 'safety' | 'liveness' | 'crash' | 'nondeterminism' | 'gave-up';

export interface RunOptions {
  readonly onTrace?: (entry: TraceEntry) => void;
  /** Keeps what `sim open` draws. */
  readonly recorder?: Recorder;
  /** Nobody asks what comes later, virtual ms: a run of which phase 1 gets this far is ok. */
  readonly stopAtMs?: number;
  /** Sees what the clients did and saw, and what the servers say of it, before it is judged. */
  readonly onHistory?: (history: ClientHistory, believed: Believed) => void;
}

export interface RunResult {
  readonly kind: Outcome;
  readonly violation: Violation | null;
  readonly traceHash: string;
  readonly virtualMs: number;
  readonly events: number;
  /** Faults that struck, by kind; those that found nobody to strike are not counted. */
  readonly faults: Readonly<Record<string, number>>;
  readonly acked: number;
  readonly elections: number;
  readonly expired: number;
  /** Longest time from a fault that took the leader to the next leader that serves; of a cluster, without a job manager that leads and can act. Virtual ms. */
  readonly longestElectionMs: number;
  readonly marks: Readonly<Record<Mark, number>>;
  /** Operations that each client drew, by its name ('client-2'): what `skip` can name. */
  readonly drawn?: Readonly<Record<string, number>>;
  /** The newest entries of the trace, oldest first. */
  readonly recent: readonly TraceEntry[];
}
