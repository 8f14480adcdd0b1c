/** A sink for people: one line per value. At-least-once: what was printed before a failure is printed again after it. */
import { once } from 'node:events';
import type { Json } from '../orchestrator/api/source.ts';
import type { Sink } from '../orchestrator/api/sink.ts';

export interface PrintOptions {
  /** Written before each value, with "> " between. */
  readonly prefix?: string;
  /** Takes a line without its end. The process's standard output without it. */
  readonly write?: (line: string) => void | Promise<void>;
}

export function printSink<T>(options: PrintOptions = {}): Sink<T> {
  const write = options.write ?? writeToStdout;
  return {
    description: 'print',
    guarantee: 'at-least-once',
    createWriter: async (context) => {
      const prefix = [options.prefix, context.parallelism > 1 ? String(context.subtask) : undefined].filter((part) => part !== undefined).join(':');
      return {
        write: async (values) => {
          for (const value of values) {
            const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
            await write(prefix === '' ? text : `${prefix}> ${text}`);
          }
        },
        prepareCommit: async (): Promise<Json[]> => [],
        close: async () => undefined,
      };
    },
  };
}

async function writeToStdout(line: string): Promise<void> {
  if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain');
}
