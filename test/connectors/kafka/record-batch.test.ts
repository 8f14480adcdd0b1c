import test from 'ava';
import fc from 'fast-check';
import { gzipSync } from 'node:zlib';
import { DreyError } from '../../../coord/base/errors.ts';
import { crc32c, type AbortedTransaction } from '../../../connectors/kafka/client.ts';
import { nextBatch, recordSet, type RawRecord } from '../../../connectors/kafka/record-batch.ts';

interface Batch {
  readonly base: number;
  readonly last: number;
  /** Offsets that compaction has left. */
  readonly offsets: readonly number[];
  readonly producer?: number;
  readonly kind?: 'plain' | 'transactional' | 'commit' | 'abort';
  readonly gzip?: boolean;
}

/** An independent encoder, written from Kafka's "Message Format". */
function encode({ base, last, offsets, producer = -1, kind = 'plain', gzip = false }: Batch): Buffer {
  const control = kind === 'commit' || kind === 'abort';
  const records = Buffer.concat(
    offsets.map((offset) => {
      const key = control ? Buffer.from([0, 0, 0, kind === 'abort' ? 0 : 1]) : Buffer.alloc(4);
      const value = Buffer.from(`v${offset}`);
      const body = Buffer.concat([Buffer.from([0]), varint(offset * 1000), varint(offset - base), varint(key.length), key, varint(value.length), value, varint(1), varint(1), Buffer.from('h'), varint(-1)]);
      return Buffer.concat([varint(body.length), body]);
    }),
  );
  const body = gzip && !control ? gzipSync(records) : records;
  const header = Buffer.alloc(61);
  header.writeBigInt64BE(BigInt(base), 0);
  header.writeInt32BE(49 + body.length, 8);
  header.writeInt8(2, 16);
  header.writeInt16BE((gzip && !control ? 1 : 0) | (kind === 'plain' ? 0 : 0x10) | (control ? 0x20 : 0), 21);
  header.writeInt32BE(last - base, 23);
  header.writeBigInt64BE(1_700_000_000_000n, 27);
  header.writeBigInt64BE(BigInt(producer), 43);
  header.writeInt32BE(offsets.length, 57);
  const batch = Buffer.concat([header, body]);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

function varint(n: number): Buffer {
  let zigzag = n < 0 ? BigInt(-n) * 2n - 1n : BigInt(n) * 2n;
  const bytes: number[] = [];
  while (zigzag > 127n) {
    bytes.push(Number(zigzag & 127n) | 128);
    zigzag >>= 7n;
  }
  return Buffer.from([...bytes, Number(zigzag)]);
}

async function read(position: number, bytes: Buffer, aborted: AbortedTransaction[] = []): Promise<{ records: RawRecord[]; position: number }> {
  const set = recordSet('t-0', position, bytes, aborted);
  const records: RawRecord[] = [];
  for (let batch = await nextBatch(set); batch !== null; batch = await nextBatch(set)) records.push(...batch);
  return { records, position: set.position };
}

const code = async (run: Promise<unknown>): Promise<string> => run.then(() => 'none', (error: DreyError) => `${error.code} ${error.message}`);

test('the position moves over gaps and over batches that compaction emptied', async (t) => {
  const log = Buffer.concat([encode({ base: 3, last: 9, offsets: [4, 8], gzip: true }), encode({ base: 20, last: 29, offsets: [] })]);
  const { records, position } = await read(0, log);
  t.deepEqual(records.map(({ offset, timestamp, value, headers }) => [offset, timestamp, String(value), headers]), [
    [4, 1_700_000_004_000, 'v4', [{ key: 'h', value: null }]],
    [8, 1_700_000_008_000, 'v8', [{ key: 'h', value: null }]],
  ]);
  t.is(position, 30);
  t.deepEqual((await read(5, log)).records.map(({ offset }) => offset), [8]);
});

test('a batch that was cut is left for the next fetch', async (t) => {
  const [whole, cut] = [encode({ base: 0, last: 1, offsets: [0, 1] }), encode({ base: 2, last: 2, offsets: [2] })];
  for (let n = 0; n < cut.length; n++) t.is((await read(0, Buffer.concat([whole, cut.subarray(0, n)]))).position, 2);
});

test('what does not continue the position, or fails its checksum, is an error with the offsets', async (t) => {
  t.is(await code(read(5, encode({ base: 0, last: 4, offsets: [4] }))), 'KAFKA_NOT_CONTINUED t-0: expected records from offset 5 on, the broker sent 0 to 4');
  const twice = encode({ base: 0, last: 4, offsets: [4] });
  t.regex(await code(read(0, Buffer.concat([twice, twice]))), /^KAFKA_NOT_CONTINUED t-0: expected records from offset 5 on, the broker sent 0 to 4/);
  const damaged = encode({ base: 7, last: 7, offsets: [7] });
  damaged[damaged.length - 3] = (damaged.at(-3) as number) ^ 1;
  t.is(await code(read(7, damaged)), 'KAFKA_CORRUPT t-0: the batch at offset 7 fails its checksum');
});

/** A log of producers that write, commit and abort in any order; some have transactions open at once. */
const history = fc.array(fc.record({ producer: fc.integer({ min: 0, max: 2 }), action: fc.constantFrom('write', 'write', 'write', 'commit', 'abort', 'plain'), records: fc.integer({ min: 1, max: 4 }), keep: fc.boolean(), gzip: fc.boolean() }), { maxLength: 40 });

test('from any position exactly the committed records after it are seen', async (t) => {
  await fc.assert(
    fc.asyncProperty(history, async (steps) => {
      const batches: Buffer[] = [];
      const starts: number[] = [];
      const open = new Map<number, { firstOffset: number; offsets: number[] }>();
      const visible: number[] = [];
      const aborted: (AbortedTransaction & { last: number })[] = [];
      let next = 0;
      const end = (producer: number, kind: 'commit' | 'abort'): void => {
        const transaction = open.get(producer);
        if (transaction === undefined) return;
        open.delete(producer);
        if (kind === 'commit') visible.push(...transaction.offsets);
        else aborted.push({ producerId: BigInt(producer), firstOffset: transaction.firstOffset, last: next });
        starts.push(next);
        batches.push(encode({ base: next, last: next, offsets: [next], producer, kind }));
        next++;
      };
      for (const { producer, action, records, keep, gzip } of steps) {
        if (action === 'commit' || action === 'abort') {
          end(producer, action);
          continue;
        }
        const offsets = Array.from({ length: records }, (_, i) => next + i).filter((_, i) => keep || i > 0);
        const plain = action === 'plain';
        if (plain) visible.push(...offsets);
        else {
          const transaction = open.get(producer) ?? { firstOffset: next, offsets: [] };
          transaction.offsets.push(...offsets);
          open.set(producer, transaction);
        }
        starts.push(next);
        batches.push(encode({ base: next, last: next + records - 1, offsets, ...(plain ? {} : { producer, kind: 'transactional' as const }), gzip }));
        next += records;
      }
      for (const producer of open.keys()) end(producer, 'abort');
      for (let from = 0; from < next; from++) {
        const first = starts.findLastIndex((start) => start <= from);
        // What a broker names: the aborted transactions that reach into the answer.
        const named = aborted.filter(({ last }) => last >= from).reverse();
        const { records, position } = await read(from, Buffer.concat(batches.slice(first)), named);
        t.deepEqual(records.map(({ offset }) => offset), visible.filter((offset) => offset >= from).sort((a, b) => a - b));
        t.is(position, next);
      }
    }),
    { numRuns: 60 },
  );
});
