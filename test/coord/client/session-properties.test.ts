/** Random lives of a session: whatever the network and the servers do, every request has one outcome, and what was seen stays true. */
import test from 'ava';
import fc from 'fast-check';
import { EventType, OpCode } from '../../../coord/wire/codes.ts';
import { Script } from './scripted.ts';

type Step =
  | { kind: 'request' | 'watch' | 'auth' | 'answer' | 'answerAll' | 'fire' | 'lose' | 'open' | 'expire' | 'garbage' | 'close' }
  | { kind: 'time' | 'pause'; ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<Step>({ kind: 'request' }, { kind: 'watch' }, { kind: 'answer' }, { kind: 'answerAll' }) },
  { weight: 4, arbitrary: fc.constantFrom<Step>({ kind: 'open' }, { kind: 'open' }, { kind: 'expire' }) },
  { weight: 3, arbitrary: fc.constantFrom<Step>({ kind: 'fire' }, { kind: 'lose' }, { kind: 'auth' }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 0, max: 2500 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pause' as const), ms: fc.integer({ min: 0, max: 5000 }) }) },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: 'garbage' }, { kind: 'garbage' }, { kind: 'garbage' }, { kind: 'close' }) },
);

const stat = { czxid: 1, mzxid: 1, ctime: 0, mtime: 0, version: 0, cversion: 0, aversion: 0, ephemeralOwner: 0n, dataLength: 0, numChildren: 0, pzxid: 1 };

/** A well-behaved server's view of one life, and what must hold in it. */
class Life {
  readonly script: Script;
  readonly renew: boolean;
  phase: 'opening' | 'established' | 'none' = 'none';
  #attempt = 0;
  #sessions = 0;
  #zxid = 0;
  #issued = 0;
  #auths = 0;
  #authOutcomes = 0;
  /** On the present connection, unanswered. */
  #unanswered: { xid: number; op: number }[] = [];
  /** The same watch may fire once for each time it was set. */
  readonly fired = new Map<string, number>();
  readonly set = new Map<string, number>();

  constructor(renew: boolean) {
    this.renew = renew;
    this.script = new Script({ servers: [{ host: 'a', port: 1 }, { host: 'b', port: 1 }], renew, queuedRequestsMax: 5 });
  }

  get isOver(): boolean {
    const { state } = this.script.session;
    return state === 'closed' || state === 'auth-failed' || (state === 'expired' && !this.renew);
  }

  run(each: Step): void {
    const { script } = this;
    this.#notice();
    switch (each.kind) {
      case 'request':
        script.request(`/${this.#issued++}`);
        break;
      case 'watch': {
        const path = `/w${this.#issued++}`;
        script.watch(path, OpCode.getData, { kind: 'data', watcher: () => this.fired.set(path, (this.fired.get(path) ?? 0) + 1) });
        break;
      }
      case 'auth':
        this.#auths++;
        script.session.addAuth('digest', new Uint8Array(1), () => this.#authOutcomes++);
        break;
      case 'answer':
        this.#answer(1);
        break;
      case 'answerAll':
        this.#answer(Infinity);
        break;
      case 'fire': {
        const path = [...this.set.keys()].at(-1);
        if (this.phase === 'established' && path !== undefined) {
          script.event(EventType.NodeDataChanged, path, ++this.#zxid);
          script.event(EventType.NodeDataChanged, path, ++this.#zxid);
        }
        break;
      }
      case 'lose':
        script.lose();
        break;
      case 'open':
      case 'expire': {
        script.time.advance(0);
        this.#notice();
        if (this.phase !== 'opening') break;
        const hello = script.accept();
        if (hello.lastZxidSeen > this.#zxid) throw new Error('it has seen what was not shown');
        if (hello.sessionId === 0n) script.welcome(BigInt(++this.#sessions));
        else if (each.kind === 'expire') script.welcome(0n, 0);
        else script.welcome(hello.sessionId);
        break;
      }
      case 'garbage':
        if (this.phase === 'established') script.garbage();
        break;
      case 'close':
        script.session.close(() => undefined);
        break;
      case 'time':
        script.time.advance(each.ms);
        break;
      case 'pause':
        script.time.pause(each.ms);
        break;
    }
    this.#notice();
    this.#check();
  }

  /** Takes in what the session has sent, and which connection it is on. */
  #notice(): void {
    const { script } = this;
    if (script.attempts.length !== this.#attempt) {
      this.#attempt = script.attempts.length;
      this.#unanswered = [];
    }
    if (script.session.server !== null) {
      this.phase = 'established';
      this.#unanswered.push(...script.received().map(({ xid, op }) => ({ xid, op })));
    } else {
      this.phase = script.isOpening ? 'opening' : 'none';
      this.#unanswered = [];
    }
  }

  #answer(count: number): void {
    for (let i = 0; i < count && this.phase === 'established'; i++) {
      const next = this.#unanswered.shift();
      if (next === undefined) return;
      const zxid = next.xid === -4 ? 0 : ++this.#zxid;
      this.script.reply(next.xid, zxid, 0, next.op === OpCode.getData ? { kind: 'data', data: null, stat } : null);
      const last = this.script.outcomes.at(-1) ?? '';
      if (next.op === OpCode.getData) {
        const path = last.split(' ')[0] as string;
        this.set.set(path, (this.set.get(path) ?? 0) + 1);
      }
      this.#notice();
    }
  }

  #check(): void {
    const { script } = this;
    const { state } = script.session;
    if (state === 'connected' && script.session.server === null) throw new Error('connected to nobody');
    if (script.session.leaseRemainingMs() > 3000) throw new Error('a lease longer than the timeout');
    for (const [path, times] of this.fired) if (times > (this.set.get(path) ?? 0)) throw new Error(`${path} fired ${times} times`);
    if (this.isOver && (script.session.leaseRemainingMs() > 0 || script.session.watches.size > 0)) throw new Error('something is left of a session that is over');
  }

  /** Ends the life, and checks that everything in it has had its outcome. */
  end(): void {
    const { script } = this;
    let closed = false;
    script.session.close(() => (closed = true));
    script.time.advance(10_000);
    if (!closed || !this.isOver) throw new Error('close did not end it');
    if (script.time.armed > 0) throw new Error('a timer runs on');
    const counts = new Map<string, number>();
    for (const outcome of script.outcomes) {
      const path = outcome.split(' ')[0] as string;
      counts.set(path, (counts.get(path) ?? 0) + 1);
    }
    if (counts.size !== this.#issued) throw new Error(`${this.#issued} requests, ${counts.size} outcomes`);
    for (const [path, count] of counts) if (count !== 1) throw new Error(`${path} has ${count} outcomes`);
    if (this.#authOutcomes !== this.#auths) throw new Error(`${this.#auths} addAuth, ${this.#authOutcomes} outcomes`);
    this.#checkSignals();
  }

  #checkSignals(): void {
    const allowed: Record<string, readonly string[]> = {
      start: ['connected', 'closed'],
      connecting: ['connected', 'closed'],
      connected: ['suspended', 'expired', 'closed'],
      reconnected: ['suspended', 'expired', 'closed'],
      suspended: ['reconnected', 'lease-lost', 'expired', 'closed'],
      'lease-lost': ['reconnected', 'expired', 'closed'],
      expired: this.renew ? ['connecting', 'closed'] : [],
      closed: [],
    };
    let last = 'start';
    for (const signal of this.script.signals) {
      if (!allowed[last]?.includes(signal)) throw new Error(`${signal} after ${last}: ${this.script.signals.join(' ')}`);
      last = signal;
    }
  }
}

for (const renew of [false, true]) {
  test(`every request has one outcome, whatever happens${renew ? ', renewals included' : ''}`, (t) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const life = new Life(renew);
        for (const each of steps) life.run(each);
        life.end();
      }),
      { numRuns: 2000 },
    );
    t.pass();
  });
}
