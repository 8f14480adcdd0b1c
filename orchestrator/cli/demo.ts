/** drey demo: kills the leader, the job master and a worker, and counts what was lost. */
import { Command, InvalidArgumentError } from 'commander';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runDemo, type DemoResult } from '../cluster/demo.ts';
import { submitTo } from './submit-to.ts';
import { wholeNumber } from './options.ts';

interface Options {
  readonly servers: number;
  readonly seconds: number;
  readonly kafka?: string;
  readonly json: boolean;
  readonly keep: boolean;
}

export function demoCommand(): Command {
  return new Command('demo')
    .description('Starts everything on free ports in a temporary directory, runs a windowed word count over real text, kills with SIGKILL the leader, the job master and a worker in turn, and compares the output with an independent recount.')
    .option('--servers <n>', 'servers in the ensemble: 3 or 5', oneOf(3, 5), 3)
    .option('--seconds <n>', 'about how long the input goes on', wholeNumber(10, 3600), 40)
    .option('--kafka <host:port>', 'read from and write to topics of this Kafka instead of files')
    .option('--json', 'print the result as one JSON object; progress goes to stderr', false)
    .option('--keep', 'keep the directory with data, logs, input and output', false)
    .addHelpText('after', '\nExit code 0 only when nothing is lost and, with files, nothing is duplicated.')
    .action(async (options: Options) => {
      process.exitCode = (await demo(options)).ok ? 0 : 1;
    });
}

async function demo({ servers, seconds, kafka, json, keep }: Options): Promise<DemoResult> {
  const dir = mkdtempSync(join(tmpdir(), 'drey-demo-'));
  const say = (text: string): void => (json ? console.error(text) : console.log(text));
  let failed = true;
  try {
    const result = await runDemo({ dir, servers, seconds, kafka: kafka ?? null, say, submit: submitTo });
    failed = !result.ok;
    if (json) console.log(JSON.stringify(result));
    else print(result);
    return result;
  } finally {
    if (keep || failed) say(`data, logs, input and output: ${dir}`);
    else rmSync(dir, { recursive: true, force: true });
  }
}

function print(result: DemoResult): void {
  console.log(`
words in the input            ${result.records}, in ${result.expected} (word, window) counts
lost                          ${result.lost}
duplicated                    ${result.duplicated}${result.kafka ? ' (the Kafka sink is at-least-once)' : ''}
first acked write after       ${result.firstWriteMs} ms
write gap, leader killed      ${result.writeGapMs} ms
master takeover               ${result.masterTakeoverMs} ms, tasks ${result.tasksKeptRunning ? 'kept running' : 'restarted'}
worker recovery               ${result.workerRecoveryMs} ms; new output after ${result.firstOutputMs} ms
checkpoints                   ${result.checkpoints}`);
  for (const example of result.examples) console.log(`  ${example}`);
  console.log(result.ok ? '\nok' : '\nFAILED');
}

function oneOf(...allowed: number[]): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!allowed.includes(value)) throw new InvalidArgumentError(`It must be ${allowed.join(' or ')}.`);
    return value;
  };
}
