/**
 * Kafka's transaction coordinator, as much as a two-phase sink needs: a transactional id has one producer at a time, whoever initialises it again
 * fences the former one by a greater epoch and aborts what it left open; a transaction that is not ended in time is aborted.
 */
import type { World } from '../world/world.ts';
import type { LogRecord } from './record-batch.ts';
import { BrokerError, KAFKA, type SimKafka } from './sim-kafka.ts';

export interface ProducerIdentity {
  readonly transactionalId: string;
  readonly id: bigint;
  readonly epoch: number;
}

interface Transaction {
  id: bigint;
  epoch: number;
  state: 'empty' | 'ongoing' | 'committed' | 'aborted';
  startedMs: number;
  timeoutMs: number;
  /** Partitions that it has written to, as "topic/partition". */
  readonly partitions: Set<string>;
}

export class SimTransactions {
  readonly #world: World;
  readonly #kafka: SimKafka;
  readonly #byId = new Map<string, Transaction>();
  #lateEnds = 0;
  #lateMs = 0;
  /** Sees the end of each transaction. */
  onEnd: ((transactionalId: string, committed: boolean) => void) | null = null;

  constructor(world: World, kafka: SimKafka) {
    this.#world = world;
    this.#kafka = kafka;
  }

  /** InitProducerId. */
  init(transactionalId: string, timeoutMs: number): ProducerIdentity {
    let transaction = this.#byId.get(transactionalId);
    if (transaction === undefined) {
      transaction = { id: this.#kafka.producerId(), epoch: -1, state: 'empty', startedMs: 0, timeoutMs, partitions: new Set() };
      this.#byId.set(transactionalId, transaction);
    } else if (transaction.state === 'ongoing') this.#end(transactionalId, transaction, false);
    transaction.epoch += 1;
    transaction.state = 'empty';
    transaction.timeoutMs = timeoutMs;
    return { transactionalId, id: transaction.id, epoch: transaction.epoch };
  }

  /** AddPartitionsToTxn and Produce. */
  produce(producer: ProducerIdentity, topic: string, partition: number, records: readonly LogRecord[]): void {
    const transaction = this.#of(producer);
    if (transaction.state === 'committed' || transaction.state === 'aborted') throw new BrokerError('INVALID_TXN_STATE', false);
    const to = this.#kafka.partition(topic, partition);
    if (to.leader === -1) throw new BrokerError('LEADER_NOT_AVAILABLE', true);
    if (transaction.state === 'empty') this.#begin(producer.transactionalId, transaction);
    transaction.partitions.add(`${topic}/${partition}`);
    to.log.append(records, { id: producer.id, epoch: producer.epoch, transactional: true });
  }

  /** Each of the next EndTxn comes once more, that much later: a request that was held up on its way to a coordinator, while the producer asked again. */
  repeatEnds(times: number, lateMs: number): void {
    this.#lateEnds = times;
    this.#lateMs = lateMs;
  }

  /** EndTxn; repeating it is no error. A transaction to which nothing was written is over at once. */
  end(producer: ProducerIdentity, commit: boolean): void {
    if (this.#lateEnds > 0) {
      this.#lateEnds -= 1;
      this.#world.schedule(this.#lateMs, () => this.#endLate(producer, commit));
    }
    this.#endNow(producer, commit);
  }

  /** Nobody hears what comes of it. */
  #endLate(producer: ProducerIdentity, commit: boolean): void {
    const { transactionalId } = producer;
    this.#world.marks.hit('late EndTxn');
    this.#world.trace(KAFKA, 'late EndTxn', { transactionalId, epoch: producer.epoch });
    try {
      this.#endNow(producer, commit);
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
    }
  }

  #endNow(producer: ProducerIdentity, commit: boolean): void {
    const transaction = this.#of(producer);
    if (transaction.state === 'ongoing') this.#end(producer.transactionalId, transaction, commit);
    else if (transaction.state === (commit ? 'committed' : 'aborted')) this.#world.marks.hit('EndTxn again');
    else if (transaction.state === (commit ? 'aborted' : 'committed')) throw new BrokerError('INVALID_TXN_STATE', false);
  }

  /** ListTransactions: those that are not over, with this beginning. */
  open(prefix: string): string[] {
    return [...this.#byId].filter(([id, { state }]) => id.startsWith(prefix) && state === 'ongoing').map(([id]) => id);
  }

  #of({ transactionalId, epoch }: ProducerIdentity): Transaction {
    const transaction = this.#byId.get(transactionalId);
    if (transaction === undefined) throw new BrokerError('TRANSACTIONAL_ID_NOT_FOUND', false);
    if (epoch !== transaction.epoch) this.#world.marks.hit('producer fenced');
    if (epoch !== transaction.epoch) throw new BrokerError('PRODUCER_FENCED', false);
    return transaction;
  }

  #begin(transactionalId: string, transaction: Transaction): void {
    transaction.state = 'ongoing';
    transaction.startedMs = this.#world.nowMs;
    const { epoch } = transaction;
    this.#world.schedule(transaction.timeoutMs, () => {
      if (transaction.epoch !== epoch || transaction.state !== 'ongoing') return;
      this.#world.marks.hit('transaction timed out');
      this.#world.trace(KAFKA, 'transaction timed out', { transactionalId });
      this.#end(transactionalId, transaction, false);
    });
  }

  #end(transactionalId: string, transaction: Transaction, commit: boolean): void {
    transaction.state = commit ? 'committed' : 'aborted';
    if (!commit) this.#world.marks.hit('transaction aborted');
    this.#world.trace(KAFKA, commit ? 'committed' : 'aborted', { transactionalId });
    for (const each of transaction.partitions) {
      const at = each.lastIndexOf('/');
      const partition = this.#kafka.partition(each.slice(0, at), Number(each.slice(at + 1)));
      partition.log.endTransaction(transaction.id, transaction.epoch, commit ? 'commit' : 'abort');
      this.#kafka.changed(partition);
    }
    transaction.partitions.clear();
    this.onEnd?.(transactionalId, commit);
  }
}
