/**
 * A recording as it is stored and embedded in the page: columns of numbers, texts once each. Times are virtual microseconds, whole numbers.
 * Types only, since the page's script, which knows no Node, reads it too.
 */
import type { LaneKind } from './recorder.ts';

/** An index into `strings`. */
export type Text = number;
/** An index into `lanes`. */
export type LaneNo = number;

export interface EventColumns {
  readonly at: number[];
  readonly lane: LaneNo[];
  readonly name: Text[];
  /** JSON of the fields. */
  readonly fields: Text[];
}
export interface MessageColumns {
  readonly from: LaneNo[];
  readonly to: LaneNo[];
  readonly type: Text[];
  readonly sentAt: number[];
  /** -1: on the way when the recording ends. */
  readonly endAt: number[];
  /** 1: `endAt` is when it was lost. */
  readonly lost: number[];
  readonly fields: Text[];
}
export interface BandColumns {
  readonly lane: LaneNo[];
  readonly band: Text[];
  readonly label: Text[];
  readonly from: number[];
  /** -1: goes on when the recording ends. */
  readonly to: number[];
}
export interface OperationColumns {
  readonly lane: LaneNo[];
  readonly kind: Text[];
  readonly path: Text[];
  readonly callAt: number[];
  /** -1: its outcome is unknown. */
  readonly returnAt: number[];
  readonly outcome: Text[];
  /** A zxid as a safe integer; 0: none. */
  readonly zxid: number[];
}
export interface RecordedFault {
  readonly id: string;
  readonly kind: string;
  readonly lanes: readonly LaneNo[];
  readonly from: number;
  readonly to: number;
  readonly label: string;
}
export interface RecordedViolation {
  readonly at: number;
  readonly invariant: string;
  readonly message: string;
  readonly lane: LaneNo | null;
}
/** What the limits of the recording took away: so many, all before `before`. */
export interface LeftOut {
  readonly what: 'events' | 'messages' | 'heartbeats' | 'operations' | 'disk writes';
  readonly count: number;
  readonly before: number;
}
export interface Recorded {
  readonly version: 1;
  readonly strings: readonly string[];
  readonly lanes: readonly { readonly id: string; readonly kind: LaneKind }[];
  readonly events: EventColumns;
  readonly messages: MessageColumns;
  readonly bands: BandColumns;
  readonly operations: OperationColumns;
  readonly faults: readonly RecordedFault[];
  readonly violation: RecordedViolation | null;
  readonly endAt: number;
  readonly leftOut: readonly LeftOut[];
}
