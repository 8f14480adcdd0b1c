/** A real standalone server in this process, on a free port and a temporary directory, and a raw client that sends and reads bytes. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientListener, type ClientListenerOptions } from '../../../coord/adapters/client-listener.ts';
import { HttpPort } from '../../../coord/adapters/http.ts';
import { NodeJournalFiles } from '../../../coord/adapters/journal-files.ts';
import { LevelKvStores } from '../../../coord/adapters/level-kv.ts';
import { NativeListener } from '../../../coord/adapters/native-listener.ts';
import { systemClock, systemEntropy, systemTimers } from '../../../coord/adapters/system-ports.ts';
import type { Callback } from '../../../coord/base/ports.ts';
import { DEFAULT_DRIVER_OPTIONS, QuorumPeer } from '../../../coord/runtime/quorum-peer.ts';
import { Storage } from '../../../coord/storage/storage.ts';
import { encodeConnectRequest } from '../../../coord/wire/connect.ts';
import { parseWhitelist } from '../../../coord/wire/four-letter-words.ts';
import { FrameReader } from '../../../coord/wire/frame-reader.ts';
import { JuteWriter } from '../../../coord/wire/jute.ts';
import { encodeRequest } from '../../../coord/wire/requests.ts';
import { ClientRequest } from '../../../coord/wire/types.ts';

const trace = { event: () => undefined };
const settled = (start: (done: Callback) => void): Promise<void> => new Promise((resolve, reject) => start((error) => (error === null ? resolve() : reject(error))));

export interface OneServer {
  readonly port: number;
  readonly httpPort: number;
  readonly clients: ClientListener;
  readonly native: NativeListener;
  stop(): Promise<void>;
}

export async function startOneServer(options: Partial<ClientListenerOptions> = {}): Promise<OneServer> {
  const dir = mkdtempSync(join(tmpdir(), 'drey-one-'));
  const juteMaxBuffer = options.juteMaxBuffer ?? 0xfffff;
  const pipeline = new QuorumPeer(
    {
      openStorage: () => new Storage(new NodeJournalFiles(join(dir, 'journal')), new LevelKvStores(dir), { clock: systemClock }),
      transport: null, clock: systemClock, timers: systemTimers, trace,
    },
    {
      ...DEFAULT_DRIVER_OPTIONS,
      server: {
        sid: 1, standalone: true, voters: 1, tickMs: 2000, minSessionTimeoutMs: 100, maxSessionTimeoutMs: 40_000, juteMaxBuffer,
        digest: (text) => createHash('sha1').update(text).digest('base64'), superDigest: null, configData: '',
      },
      peer: { sid: 1, voters: [1], detectMs: 1000, heartbeatMs: 200, electionGraceMs: 50, progressMs: 250, learnerWindowBytes: 16 << 20, recentBytesMax: 16 << 20 },
      description: { version: '0.1.0', settings: [['clientPort', 0]], environment: [], openFileDescriptors: () => -1, maxFileDescriptors: () => -1 },
    },
  );
  const serving = new Promise<void>((resolve) => {
    pipeline.onServing = (now) => {
      if (now !== 'no') resolve();
    };
  });
  const http = new HttpPort({ stats: () => pipeline.stats(), host: '127.0.0.1', port: 0, trace });
  const native = new NativeListener({ pipeline, http, juteMaxBuffer, maxClientCnxns: 0, entropy: systemEntropy, trace });
  const clients = new ClientListener({
    pipeline, host: '127.0.0.1', port: 0, juteMaxBuffer, maxClientCnxns: 0, whitelist: parseWhitelist('*'), entropy: systemEntropy, trace, ...options,
  });
  const stop = async (): Promise<void> => {
    await settled((done) => clients.stop(done));
    await settled((done) => native.stop(done));
    await settled((done) => http.stop(done));
    await settled((done) => pipeline.stop(done));
    rmSync(dir, { recursive: true, force: true });
  };
  await settled((done) => pipeline.start(done));
  try {
    await Promise.all([settled((done) => clients.start(done)), settled((done) => http.start(done)), serving]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { port: clients.port, httpPort: http.port, clients, native, stop };
}

export function request(op: number, fields: Partial<ClientRequest> = {}): ClientRequest {
  return Object.assign(new ClientRequest(), { op }, fields);
}

/** Speaks ZooKeeper's protocol in bytes. */
export class RawClient {
  readonly socket: Socket;
  readonly frames: Buffer[] = [];
  closed = false;
  #reader = new FrameReader(1 << 28, (bytes, start, end) => {
    this.frames.push(Buffer.from(bytes.subarray(start, end)));
    return true;
  });
  #waiting: (() => void)[] = [];

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket.on('data', (chunk) => {
      this.#reader.push(chunk);
      this.#wake();
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.closed) throw new Error('the server has closed the connection');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
  async untilClosed(): Promise<void> {
    while (!this.closed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
  /** The next frame, without its length. */
  async frame(): Promise<Buffer> {
    await this.until(() => this.frames.length > 0);
    return this.frames.shift() as Buffer;
  }
  async open(timeoutMs = 30_000): Promise<Buffer> {
    this.socket.write(handshake(timeoutMs));
    return this.frame();
  }
  send(...requests: ClientRequest[]): void {
    this.socket.write(encoded(...requests));
  }
}

export function handshake(timeoutMs = 30_000): Buffer {
  const writer = new JuteWriter();
  encodeConnectRequest(writer, { protocolVersion: 0, lastZxidSeen: 0, timeoutMs, sessionId: 0n, password: new Uint8Array(16), readOnly: false, hasReadOnly: true });
  return writer.take();
}

export function encoded(...requests: ClientRequest[]): Buffer {
  const writer = new JuteWriter();
  for (const each of requests) encodeRequest(writer, each);
  return writer.take();
}
