/** A job whose map throws at one record. */
import { job } from 'drey';
import { collectionSource, printSink } from 'drey/connectors';

function check(value: number): number {
  if (value === 7) throw new TypeError(`no sevens`);
  return value;
}

export default job('poison', (env) => {
  env
    .source(collectionSource([1, 2, 7, 3]))
    .map((value) => check(value), { name: 'check' })
    .sink(printSink({ write: () => undefined }));
});
