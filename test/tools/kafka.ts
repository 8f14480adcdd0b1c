/** A real Apache Kafka (one broker, KRaft) on loopback: `npm run kafka` for people, startKafka() for tests and benchmarks. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { JavaProcess, freePorts } from './java-process.ts';
import { mavenClassPath, stderrProgress, type Progress } from './maven.ts';

export const kafkaPomDir = join(import.meta.dirname, 'kafka');

export interface KafkaOptions {
  /** A free one without it. */
  readonly port?: number;
  /** Where the broker keeps its data; started again on the same folder it goes on. A fresh one, removed by stop(), without it. */
  readonly dir?: string;
  /** Lines added to server.properties. Everything that is not needed for a single broker keeps Kafka's default. */
  readonly config?: Readonly<Record<string, string | number>>;
  readonly progress?: Progress;
}

export interface RunningKafka {
  readonly port: number;
  /** "127.0.0.1:port" */
  readonly bootstrap: string;
  readonly pid: number;
  readonly dir: string;
  readonly exited: Promise<void>;
  /** kill -9; the data stay. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export async function startKafka(options: KafkaOptions = {}): Promise<RunningKafka> {
  const classPath = await mavenClassPath(kafkaPomDir, options.progress);
  const dir = options.dir === undefined ? mkdtempSync(join(tmpdir(), 'drey-kafka-')) : resolve(options.dir);
  const data = join(dir, 'data');
  mkdirSync(data, { recursive: true });
  const properties = join(dir, 'server.properties');
  const before = existsSync(properties) ? readFileSync(properties, 'utf8') : '';
  const [freeBroker, freeController] = (await freePorts(2)) as [number, number];
  const port = options.port ?? portIn(before, 'PLAINTEXT') ?? freeBroker;
  const controller = portIn(before, 'CONTROLLER') ?? freeController;
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'log.dirs': data,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    ...options.config,
  };
  writeFileSync(properties, Object.entries(settings).map(([key, value]) => `${key}=${value}\n`).join(''));
  const logFile = join(dir, 'server.log');
  if (!existsSync(join(data, 'meta.properties'))) {
    const format = new JavaProcess({ classPath, main: 'kafka.tools.StorageTool', args: ['format', '-t', clusterId(), '-c', properties], cwd: dir, logFile });
    await format.exited;
    if (!existsSync(join(data, 'meta.properties'))) throw new Error(`Kafka's storage could not be formatted:\n${format.logTail()}`);
  }
  const broker = new JavaProcess({ classPath, main: 'kafka.Kafka', args: [properties], cwd: dir, logFile, jvm: ['-Xmx512m'] });
  const stop = async (): Promise<void> => {
    await broker.stop();
    if (options.dir === undefined) rmSync(dir, { recursive: true, force: true });
  };
  try {
    await broker.ready(() => accepts(port));
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, bootstrap: `127.0.0.1:${port}`, pid: broker.pid, dir, exited: broker.exited, kill: () => broker.kill(), stop };
}

/** Kafka's cluster ids are 16 random bytes in base64url; its tools take a leading dash for an option. */
function clusterId(): string {
  for (;;) {
    const id = randomBytes(16).toString('base64url');
    if (!id.startsWith('-')) return id;
  }
}

function portIn(properties: string, listener: string): number | undefined {
  const port = new RegExp(`^listeners=.*${listener}://127\\.0\\.0\\.1:(\\d+)`, 'm').exec(properties)?.[1];
  return port === undefined ? undefined : Number(port);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      done(true);
    });
    socket.on('error', () => done(false));
  });
}

if (import.meta.main) {
  const program = new Command('npm run kafka --')
    .description('Starts a real Apache Kafka 4.3.0 broker (KRaft, default settings) on 127.0.0.1. Needs java; mvn at first use.\nPrints one line when it is ready and runs until SIGINT or SIGTERM.')
    .option('--port <port>', 'port to listen on (default: a free one, or the one used before in --dir)', Number)
    .option('--dir <dir>', 'keep the data here, and go on with what is there (default: a fresh folder, removed at the end)')
    .option('--json', 'print the line as JSON: {"host","port","bootstrap","pid","dir"}')
    .parse();
  const { port, dir, json } = program.opts<{ port?: number; dir?: string; json?: boolean }>();
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65536)) program.error('error: --port wants a number from 1 to 65535');
  try {
    if (port !== undefined && (await accepts(port))) throw new Error(`port ${port} of 127.0.0.1 is in use: choose another --port`);
    const kafka = await startKafka({ ...(port === undefined ? {} : { port }), ...(dir === undefined ? {} : { dir }), progress: stderrProgress });
    let stopping = false;
    const stop = (): void => {
      if (stopping) return;
      stopping = true;
      void kafka.stop();
    };
    process.on('SIGINT', stop).on('SIGTERM', stop);
    const { bootstrap, pid } = kafka;
    process.stdout.write(json ? `${JSON.stringify({ host: '127.0.0.1', port: kafka.port, bootstrap, pid, dir: kafka.dir })}\n` : `${bootstrap}\n`);
    await kafka.exited;
    if (!stopping) throw new Error(`the broker ended by itself: see ${join(kafka.dir, 'server.log')}`);
  } catch (error) {
    process.stderr.write(`kafka: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
