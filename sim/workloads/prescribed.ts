/** The operations that the plan prescribes for one client: one after the other, each as often as it says. */
import type { OpPlan } from '../plan/plan.ts';
import type { Process } from '../world/process.ts';
import type { Stage } from './clients.ts';

export class Prescribed {
  readonly #process: Process;
  readonly #stage: Stage;
  /** Does the first of them once more; it has been done `done` times. If something is in its way, it is for this to call proceed() later. */
  readonly #begin: (op: OpPlan, done: number) => void;
  readonly #queue: { readonly op: OpPlan; done: number }[] = [];

  constructor(process: Process, stage: Stage, begin: (op: OpPlan, done: number) => void) {
    this.#process = process;
    this.#stage = stage;
    this.#begin = begin;
  }

  get head(): OpPlan | undefined {
    return this.#queue[0]?.op;
  }

  add(op: OpPlan): void {
    this.#queue.push({ op, done: 0 });
    if (this.#queue.length === 1) this.#proceedSoon();
  }
  clear(): void {
    this.#queue.length = 0;
  }

  proceed(): void {
    const head = this.#queue[0];
    if (head !== undefined) this.#begin(head.op, head.done);
  }
  #proceedSoon(): void {
    this.#process.schedule(0, () => this.proceed());
  }

  /** One of it has been answered, or its outcome will never be known. */
  oneDone(op: OpPlan): void {
    const head = this.#queue[0];
    if (head === undefined || head.op !== op) return;
    if (++head.done >= (op.times ?? 1)) {
      this.#queue.shift();
      this.#stage.happened(op.id);
    }
    this.#proceedSoon();
  }
}

/** Where it is done when it has been done `done` times: what is made, or deleted, more than once has a number each. */
export function pathOf(op: OpPlan, done: number): string {
  const isNumbered = (op.times ?? 1) > 1 && (op.op === 'create' || op.op === 'create-ephemeral' || op.op === 'delete');
  return `${op.path ?? DEFAULT_PATHS[op.op] ?? '/k0'}${isNumbered ? `-${done + 1}` : ''}`;
}
const DEFAULT_PATHS: Partial<Record<OpPlan['op'], string>> = { children: '/', 'create-ephemeral': '/e0', 'create-sequential': '/s-' };
