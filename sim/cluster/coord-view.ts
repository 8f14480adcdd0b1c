/** What the ensemble has committed below /drey, txn by txn: the master's writes as they took place. */
import { decodeTxnGroup } from '../../coord/tree/txn-codec.ts';
import type { MultiOpTxn, Txn, TxnHeader } from '../../coord/tree/txn.ts';
import type { TxnGroup } from '../../coord/zab/txn-group.ts';
import { EPOCH_PATH, JOBS_PATH } from '../../orchestrator/ha/layout.ts';
import type { CompletedCheckpoint, JobRecord } from '../../orchestrator/jobmaster/records.ts';
import type { SimServer } from '../world/sim-server.ts';

export interface CoordEvents {
  granted(epoch: number, session: bigint): void;
  record(jobId: string, record: JobRecord, session: bigint): void;
  counter(jobId: string, checkpointId: number, session: bigint): void;
  pointers(jobId: string, completed: readonly CompletedCheckpoint[], session: bigint): void;
}

export class CoordView {
  readonly #events: CoordEvents;
  #lastZxid = 0;

  constructor(events: CoordEvents) {
    this.#events = events;
  }

  /** Called for each boot of the server, when the judge of the ensemble has taken its place. */
  watch({ quorumPeer }: SimServer): void {
    const server = quorumPeer?.server;
    if (server == null) return;
    const { onDeliver } = server;
    server.onDeliver = (group) => {
      onDeliver?.(group);
      this.#delivered(group);
    };
  }

  /** Whoever delivers first shows it. */
  #delivered(group: TxnGroup): void {
    if (group.lastZxid <= this.#lastZxid) return;
    this.#lastZxid = group.lastZxid;
    decodeTxnGroup(group.bytes, group.firstZxid, (header, txn) => this.#apply(header, txn));
  }

  #apply({ sessionId }: TxnHeader, txn: Txn): void {
    if (txn.type === 'multi') for (const op of txn.txns) this.#write(op, sessionId);
    else if (txn.type === 'setData') this.#write(txn, sessionId);
  }

  #write(op: MultiOpTxn, session: bigint): void {
    if (op.type !== 'setData') return;
    const text = Buffer.from(op.data ?? []).toString('utf8');
    if (op.path === EPOCH_PATH) {
      this.#events.granted(Number(text), session);
      return;
    }
    if (!op.path.startsWith(`${JOBS_PATH}/`)) return;
    const [jobId = '', what] = op.path.slice(JOBS_PATH.length + 1).split('/');
    if (what === 'record') this.#events.record(jobId, JSON.parse(text) as JobRecord, session);
    else if (what === 'checkpoint-counter') this.#events.counter(jobId, Number(text), session);
    else if (what === 'checkpoints') this.#events.pointers(jobId, JSON.parse(text) as CompletedCheckpoint[], session);
  }
}
