/**
 * How a historic bug is told as a plan: one thing after the other, by moments, with times that vary by seed; beside it two clients that read and
 * write as they like. Parts ('leader as L', 'follower as F') are given when they are first named.
 */
import type { Prng } from '../../../coord/base/prng.ts';
import { quietPlan } from '../../plan/draft.ts';
import type { ClientPlan, FaultAction, FaultPlan, Moment, OpPlan, Plan, Target } from '../../plan/plan.ts';
import type { Knobs, ServerKnobs } from '../../world/knobs.ts';
import type { Mark } from '../../world/marks.ts';
import type { Scenario } from '../scenario.ts';

export interface StoryOptions {
  /** Just so many servers, whatever is asked for. Default: as many as are asked for, and 3 at least. */
  readonly servers?: number;
  /** Clients that do what they are told: 1, 2, … Default 1. */
  readonly clients?: number;
  /** Clients that do what they like; they come behind the others. Default 2. */
  readonly crowd?: number;
  readonly manners?: Partial<ClientPlan>;
  readonly knobs?: Partial<Knobs>;
  readonly serverKnobs?: Partial<ServerKnobs>;
  /** Virtual ms until everything is healed. Default 6000. */
  readonly untilMs?: number;
  /** Only the quorum of the first servers is healed then; who is down stays down. */
  readonly quorumOnly?: boolean;
}

type Id = string;

export class Story {
  readonly prng: Prng;
  readonly servers: number;
  readonly faults: FaultPlan[] = [];
  readonly ops: OpPlan[] = [];

  constructor(prng: Prng, servers: number) {
    this.prng = prng;
    this.servers = servers;
  }

  get all(): readonly Target[] {
    return Array.from({ length: this.servers }, (_, i) => `server-${i + 1}`);
  }
  /** How many more a leader needs for a quorum: 1 of 3, 2 of 5. */
  get mates(): number {
    return Math.floor(this.servers / 2);
  }
  /** How many may be away from a quorum: 1 of 3, 2 of 5. */
  get spare(): number {
    return this.servers - 1 - this.mates;
  }
  /** F, F', F'' … */
  parts(part: string, size: number): readonly string[] {
    return Array.from({ length: size }, (_, i) => `${part}${"'".repeat(i)}`);
  }

  ms(from: number, to: number): number {
    return Math.round((from + this.prng.float() * (to - from)) * 10) / 10;
  }

  fault(when: Moment, action: FaultAction, mark?: Mark): Id {
    const id = `f${this.faults.length + 1}`;
    this.faults.push({ id, when, action, ...(mark === undefined ? {} : { mark }) });
    return id;
  }
  op(client: number, op: OpPlan['op'], when: Moment, more: Partial<Pick<OpPlan, 'path' | 'to' | 'times' | 'mark'>> = {}): Id {
    const id = `o${this.ops.length + 1}`;
    this.ops.push({ id, when, client, op, ...more });
    return id;
  }

  /** A place that is come by; nothing is done. */
  passes(when: Moment, mark?: Mark): Id {
    return this.fault(when, { kind: 'clock-jump', on: 'any', byMs: 0 }, mark);
  }
  /** Gives a part. */
  cast(part: Target, when: Moment): Id {
    return this.fault(when, { kind: 'clock-jump', on: part, byMs: 0 });
  }
  /** `downMs` null: for good, until everything is healed. */
  crash(on: Target, when: Moment, downMs: number | null, mark?: Mark): Id {
    return this.fault(when, { kind: 'crash', on, keeps: 'durable', downMs }, mark);
  }
  /** All of them at once; answers the first. */
  crashAll(all: readonly Target[], when: Moment, downMs: number | null, mark?: Mark): Id {
    return all.map((on, i) => this.crash(on, when, downMs, i === 0 ? mark : undefined))[0] as Id;
  }
  isolate(on: Target, when: Moment, forMs: number): Id {
    return this.fault(when, { kind: 'partition', groups: [[on]], ways: 'both', forMs });
  }
  slowDisk(on: Target, when: Moment, extraMs: number, forMs: number): Id {
    return this.fault(when, { kind: 'slow-disk', on, extraMs, forMs });
  }

  /** Client 1 is connected to the leader, which is called L from then on, and /w is there. */
  begins(client = 1): Id {
    const connected = this.op(client, 'connect', { atMs: this.ms(700, 900) }, { to: 'leader as L' });
    return this.op(client, 'create', { after: connected }, { path: '/w' });
  }
  writes(client: number, when: Moment, times: number): Id {
    return this.op(client, 'set', when, { path: '/w', times });
  }
}

/** Gives these parts to followers. */
export const followersAs = (parts: readonly string[]): readonly Target[] => parts.map((part) => `follower as ${part}`);

export type Tell = (story: Story) => void;

/** One story under each of the names that it is known by. */
export function stories(names: readonly string[], summary: string, mustHit: readonly Mark[], tell: Tell, options: StoryOptions = {}): Scenario[] {
  return names.map((name) => ({
    name, summary, kind: 'historic', mustHit,
    draw: (prng, drawn): Plan => {
      const servers = options.servers ?? Math.max(drawn.servers, 3);
      const clients = options.clients ?? 1;
      const crowd = options.crowd ?? 2;
      const plan = quietPlan(name, { ...drawn, servers }, clients + crowd, { jitterMs: prng.pick([0.2, 1, 3]), writeMs: prng.pick([[0.1, 1], [1, 4]] as const), ...options.knobs });
      const story = new Story(prng.fork('story'), servers);
      tell(story);
      return {
        ...plan,
        serverKnobs: plan.serverKnobs.map((knobs) => ({ ...knobs, flushIntervalMs: prng.pick([10, 100, 500]), ...options.serverKnobs })),
        clients: plan.clients.map((client) => (client.id <= clients ? client : { ...client, draws: true, burst: 3, thinkMs: 40, timeoutMs: 2000, ...options.manners })),
        ops: story.ops, faults: story.faults, untilMs: options.untilMs ?? 6000,
        ...(options.quorumOnly === true ? { core: Array.from({ length: Math.floor(servers / 2) + 1 }, (_, i) => i + 1) } : {}),
      };
    },
  }));
}
