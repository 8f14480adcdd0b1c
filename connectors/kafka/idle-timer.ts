/**
 * kafkajs 2.2.4 re-arms a timer with a negative delay after every answer, even when nothing waits: a connection wakes up each millisecond
 * for ever (tulios/kafkajs#1704), and Node prints TimeoutNegativeWarning (#1751). The timer is only needed while requests are pending.
 */
import { createRequire } from 'node:module';

interface RequestQueue {
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests(): void;
}

let repaired = false;

/** For every kafkajs client of this process, from its first on. */
export function repairIdleTimer(): void {
  if (repaired) return;
  repaired = true;
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as { prototype: RequestQueue };
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length > 0) schedule.call(this);
  };
}
