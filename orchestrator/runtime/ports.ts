/**
 * What job managers and task managers know of the outside world, besides coord. orchestrator/adapters has it for this machine; the simulator puts its
 * doubles in its place and replaces nothing else.
 */
import type { Clock, TimerHandle, Timers } from '../../coord/base/ports.ts';
import type { Sockets } from '../rpc/sockets.ts';
import type { Storage } from '../storage/storage.ts';
import type { LoadBundle } from '../task/build-program.ts';

export interface RuntimePorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly sockets: Sockets;
  /** Letters and digits that nobody has drawn before. */
  readonly id: (length: number) => string;
  /** Throws DreyError STORAGE_BAD_URL. */
  readonly openStorage: (url: string) => Storage;
  readonly loadBundle: LoadBundle;
}

/** Calls `fn` again and again, with `intervalMs` between. */
export function every({ timers }: RuntimePorts, intervalMs: number, fn: () => void): TimerHandle {
  let timer: TimerHandle;
  const again = (): void => {
    timer = timers.after(intervalMs, () => {
      again();
      fn();
    });
  };
  again();
  return { cancel: () => timer.cancel() };
}

export function sleep(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => {
    timers.after(ms, resolve);
  });
}
