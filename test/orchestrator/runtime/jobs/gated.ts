/** An endless source, and a sink that takes nothing until the file `params.gate` is there, then writes one line per value into `params.out`. */
import { existsSync } from 'node:fs';
import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { job } from 'drey';
import { datagenSource } from 'drey/connectors';

export default job('gated', (env, params) => {
  env
    .source(datagenSource({ seed: 1, generate: (index) => index }), { uid: 'in' })
    .rebalance()
    .map((value) => value, { parallelism: 2 })
    .sink(
      {
        description: 'gated',
        guarantee: 'at-least-once',
        createWriter: async ({ subtask }) => ({
          write: async (values) => {
            while (!existsSync(params.gate)) await sleep(10);
            await mkdir(params.out, { recursive: true });
            await appendFile(join(params.out, `part-${subtask}`), values.map((value) => `${value}\n`).join(''));
          },
          prepareCommit: async () => [],
          close: async () => undefined,
        }),
      },
      { uid: 'sink', parallelism: 2 },
    );
});
