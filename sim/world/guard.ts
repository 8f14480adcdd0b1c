/**
 * Sees to it that a simulated world reaches for nothing real: while one runs, the real clock, timers, randomness and I/O throw SimulationEscape,
 * which names the call and its site. The functions of the runtime are wrapped once, when the first world runs; a wrapper asks one boolean.
 *
 * What stays allowed: dates made from a number or a text, hashes, synchronous compression. Microtasks are allowed only in worlds that drain them
 * (World.runAsync): in the others a promise would go on after the world has ended.
 */
import childProcess from 'node:child_process';
import crypto from 'node:crypto';
import dgram from 'node:dgram';
import dns from 'node:dns';
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import timers from 'node:timers';
import timersPromises from 'node:timers/promises';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';
import { random } from 'nanoid';

export class SimulationEscape extends Error {
  readonly api: string;
  /** file:line:column */
  readonly site: string;

  constructor(api: string, site: string) {
    super(`simulated code calls ${api} at ${site}`);
    this.name = 'SimulationEscape';
    this.api = api;
    this.site = site;
  }
}

let on = false;
let microtasks = false;
let installed = false;
/** The first one of the world that runs: the code that it is thrown into may swallow it. */
let escaped: SimulationEscape | null = null;

/** Of the runtime itself, for the world's own loop. */
export const realNextTick = process.nextTick;
export const realSetImmediate = setImmediate;

/** From here to leave() nothing real can be reached. */
export function enter(allowMicrotasks: boolean): void {
  if (!installed) install();
  escaped = null;
  microtasks = allowMicrotasks;
  on = true;
  forgetNanoidPool();
}

export function leave(): void {
  on = false;
}

/** Goes on in the world that leave() has left for a turn of the runtime. */
export function comeBack(): void {
  on = true;
}

/** Throws what was thrown into the simulated code, whatever that has made of it. */
export function throwEscape(): void {
  const error = escaped;
  escaped = null;
  if (error !== null) throw error;
}

/** For the harness, when the world calls it from within: it may print, and look at the clock. */
export function outside<T>(fn: () => T): T {
  const was = on;
  on = false;
  try {
    return fn();
  } finally {
    on = was;
  }
}

function escape(api: string): never {
  const error = outside(() => new SimulationEscape(api, callSite()));
  escaped ??= error;
  throw error;
}

const SELF = fileURLToPath(import.meta.url);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The first frame that is neither here nor in the runtime nor, if one of ours is below it, in a package. */
function callSite(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 50;
  const lines = (new Error().stack ?? '').split('\n').slice(1);
  Error.stackTraceLimit = limit;
  let inPackage: string | null = null;
  for (const line of lines) {
    const place = /\(?((?:file:\/\/|\/)[^()]*:\d+:\d+)\)?$/.exec(line)?.[1];
    if (place === undefined) continue;
    const path = place.startsWith('file://') ? place.slice('file://'.length) : place;
    if (path.startsWith(SELF)) continue;
    const site = path.startsWith(ROOT) ? path.slice(ROOT.length) : path;
    if (!site.includes('node_modules/')) return site;
    inPackage ??= site;
  }
  return inPackage ?? 'an unknown place';
}

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;

function wrap(owner: object, name: string, api: string, allowed: () => boolean = () => false): void {
  const original = (owner as Record<string, unknown>)[name];
  if (typeof original !== 'function') return;
  const wrapped = function (this: unknown, ...args: unknown[]): unknown {
    if (on && !allowed()) escape(api);
    return new.target === undefined ? Reflect.apply(original as AnyFunction, this, args) : Reflect.construct(original, args, new.target === wrapped ? original : new.target);
  };
  Object.defineProperties(wrapped, Object.getOwnPropertyDescriptors(original));
  Object.defineProperty(owner, name, { configurable: true, enumerable: Object.getOwnPropertyDescriptor(owner, name)?.enumerable ?? true, writable: true, value: wrapped });
}

/** All functions of a module that begin something outside of the process. */
function wrapAll(owner: object, module: string, names: (name: string) => boolean): void {
  for (const [name, { value, writable }] of Object.entries(Object.getOwnPropertyDescriptors(owner))) {
    // Classes are only used by the functions, except where they are named below.
    if (typeof value === 'function' && writable === true && /^[a-z]/.test(name) && names(name)) wrap(owner, name, `${module}.${name}`);
  }
}

function install(): void {
  installed = true;
  const whenMicrotasks = (): boolean => microtasks;

  wrap(Date, 'now', 'Date.now');
  globalThis.Date = new Proxy(Date, {
    construct: (target, args, newTarget) => {
      if (on && args.length === 0) escape('new Date()');
      return Reflect.construct(target, args, newTarget) as Date;
    },
    apply: (target, self, args) => {
      if (on) escape('Date()');
      return Reflect.apply(target, self, args) as string;
    },
  });
  Date.prototype.constructor = Date;
  wrap(performance, 'now', 'performance.now');
  wrap(process.hrtime, 'bigint', 'process.hrtime.bigint');
  wrap(process, 'hrtime', 'process.hrtime');
  wrap(process, 'uptime', 'process.uptime');

  for (const name of ['setTimeout', 'setInterval', 'setImmediate']) {
    wrap(timers, name, name);
    wrap(timersPromises, name, `timers/promises.${name}`);
    wrap(globalThis, name, name);
  }
  wrap(timersPromises.scheduler, 'wait', 'scheduler.wait');
  wrap(process, 'nextTick', 'process.nextTick', whenMicrotasks);
  wrap(globalThis, 'queueMicrotask', 'queueMicrotask', whenMicrotasks);

  wrap(Math, 'random', 'Math.random');
  for (const name of ['randomBytes', 'randomInt', 'randomUUID', 'randomFill', 'randomFillSync', 'generateKey', 'generateKeySync', 'generateKeyPair', 'generateKeyPairSync', 'pbkdf2', 'scrypt', 'hkdf']) {
    wrap(crypto, name, `crypto.${name}`);
  }
  for (const name of ['getRandomValues', 'randomUUID']) wrap(Object.getPrototypeOf(crypto.webcrypto) as object, name, `crypto.${name}`);

  wrapAll(fs, 'fs', () => true);
  wrapAll(fs.promises, 'fs.promises', () => true);
  wrapAll(childProcess, 'child_process', () => true);
  wrapAll(dns, 'dns', () => true);
  wrapAll(dns.promises, 'dns.promises', () => true);
  wrapAll(dgram, 'dgram', () => true);
  wrapAll(net, 'net', (name) => /^(connect|create)/.test(name));
  wrapAll(tls, 'tls', (name) => /^(connect|create)/.test(name));
  wrapAll(http, 'http', (name) => ['request', 'get', 'createServer'].includes(name));
  wrapAll(https, 'https', (name) => ['request', 'get', 'createServer'].includes(name));
  wrapAll(http2, 'http2', (name) => /^(connect|create)/.test(name));
  wrapAll(zlib, 'zlib', (name) => !name.endsWith('Sync') && !name.startsWith('create') && name !== 'crc32');
  wrap(net.Socket.prototype, 'connect', 'net.Socket.connect');
  wrap(net.Server.prototype, 'listen', 'net.Server.listen');
  wrap(globalThis, 'fetch', 'fetch');
  wrap(globalThis, 'WebSocket', 'WebSocket');
  syncBuiltinESMExports();
}

/** More than a pool of names of the usual length. */
const NANOID_BYTES = 128 * 21 + 1;

/** nanoid takes its random bytes from a pool that may have been filled before: it is used up, so that the next name has to ask for more. */
function forgetNanoidPool(): void {
  for (;;) {
    try {
      random(NANOID_BYTES);
    } catch {
      escaped = null;
      return;
    }
  }
}
