/** Named limits of the request pipeline. */

/** A group is closed at this size even within a turn, so that one journal record and one frame stay small. */
export const GROUP_BYTES_MAX = 1 << 20;
/** Requests of one connection that wait for a reply; beyond it the face stops reading from that connection. */
export const CONNECTION_OUTSTANDING_MAX = 4096;
/** Writes of one server that wait for their commit; beyond it no face reads. ZooKeeper: globalOutstandingLimit. */
export const SERVER_OUTSTANDING_MAX = 64 * 1024;
/** Bytes of those writes. */
export const SERVER_OUTSTANDING_BYTES_MAX = 64 << 20;
/** Bytes of requests of one connection that are held back for its session or a SYNC. */
export const CONNECTION_HELD_BYTES_MAX = 4 << 20;
/** A face that was told to stop reads again when this share of a limit is left. */
export const RESUME_SHARE = 0.5;
/** Touches of sessions are told to the leader this often, at most. */
const TOUCH_INTERVAL_MAX_MS = 250;
export function touchIntervalMs(tickMs: number): number {
  return Math.min(tickMs / 4, TOUCH_INTERVAL_MAX_MS);
}
/** Containers and TTL znodes are looked for this often. ZooKeeper: znode.container.checkIntervalMs. */
export const REAP_INTERVAL_MS = 60_000;
