/** A bounded source, and a sink whose commit fails while the file `params.fail` is there. What is committed is a line in `params.out`. */
import { existsSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { job } from 'drey';
import { collectionSource } from 'drey/connectors';

export default job('commits', (env, params) => {
  env.source(collectionSource([1, 2, 3]), { uid: 'in' }).sink({
    description: 'commits',
    guarantee: 'exactly-once',
    createWriter: async () => {
      let written: number[] = [];
      return {
        write: async (values) => void written.push(...values),
        prepareCommit: async () => {
          const staged = written;
          written = [];
          return staged;
        },
        close: async () => undefined,
      };
    },
    commit: async (committables) => {
      if (existsSync(params.fail)) throw new Error('the target is away');
      await appendFile(params.out, `${JSON.stringify(committables)}\n`);
    },
  });
});
