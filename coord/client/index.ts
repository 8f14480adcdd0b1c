/** The coordination client and its recipes. */
export { connect } from '../adapters/client-connect.ts';
export { CREATOR_ALL_ACL, OPEN_ACL, READ_ACL } from './api.ts';
export type {
  Acl, AddWatchMode, Auth, AuthId, Connect, ConnectionState, ConnectOptions, CoordClient, CreateMode, CreateOptions, Data, Op, OpResult, ReadOptions, SessionInfo, Stat,
  StateSignal, Watcher, WatchEvent, WatchEventType, WatchHandle, Zxid,
} from './api.ts';
export { CoordError, isCoordError, MultiError } from './errors.ts';
export type { CoordErrorCode } from './errors.ts';
export { baseName, joinPath, parentPath, validatePath } from './paths.ts';
export { currentLeader, LeaderElection } from './recipes/leader-election.ts';
export type { LeaderElectionOptions, LeaderInfo, Leadership, LostReason } from './recipes/leader-election.ts';
export { Lock, withLock } from './recipes/lock.ts';
export type { AcquireOptions, HeldLock, LockOptions } from './recipes/lock.ts';
export { GroupWatch, Membership } from './recipes/group-membership.ts';
export type { GroupEvents, Member, MembershipEvents } from './recipes/group-membership.ts';
export { createProtected } from './recipes/protected-create.ts';
export { whenConnected } from './recipes/when-connected.ts';
