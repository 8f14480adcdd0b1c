/** A mutant: reports journal appends as durable while they are still on their way to the disk, as if the sync before ACK were missing. */
import type { Timers } from '../../coord/base/ports.ts';
import type { Storage } from '../../coord/storage/storage.ts';

export function dropTheSync(storage: Storage, timers: Timers): Storage {
  const persist = storage.persist.bind(storage);
  storage.persist = (ops, done) => {
    const seq = ops.at(-1)?.seq ?? 0;
    const isPlain = ops.every(({ op }) => op.type === 'group' || op.type === 'hardState');
    if (!isPlain) return persist(ops, done);
    persist(ops, (error) => {
      if (error !== null) done(error, 0);
    });
    timers.endOfTurn(() => done(null, seq));
  };
  return storage;
}
