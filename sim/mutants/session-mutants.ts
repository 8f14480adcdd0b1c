/** Mutants of sessions and ephemerals. */
import type { Mutant } from './mutant.ts';

const PIPELINE = 'coord/server/leader-pipeline.ts';
const SERVER = 'coord/server/server.ts';

export const sessionMutants: readonly Mutant[] = [
  {
    name: 'reattached-loses-ephemerals', historic: 'ZK-1367', summary: 'a session that comes back through another server loses track of its ephemerals: they outlive it',
    edits: [{ file: PIPELINE, find: '    return session.timeoutMs;', replace: '    session.ephemerals.clear();\n    return session.timeoutMs;' }],
    hunts: [{ scenario: 'ZK-1367', servers: 3 }], expects: ['TxnDecision', 'ReadResult', 'SessionRules'],
  },
  {
    name: 'create-after-close', historic: 'ZK-1208', summary: 'a create behind an outstanding closeSession is prepared: an ephemeral of a dead session',
    edits: [
      { file: PIPELINE, find: '    } else if (!prep.hasSession(sessionId)) {\n', replace: '    } else if (!this.#tree.sessions.has(sessionId) && !prep.hasSession(sessionId)) {\n' },
      { file: 'coord/tree/session-changes.ts', find: 'if (change !== undefined && change.exists !== null) return change.exists;', replace: 'if (change !== undefined && change.exists === true) return true;' },
    ],
    hunts: [{ scenario: 'ZK-1208', servers: 3 }], expects: ['TxnDecision', 'SessionRules'],
  },
  {
    name: 'close-misses-outstanding', historic: 'ZK-2355', summary: 'closeSession leaves the ephemerals whose creates are still outstanding',
    edits: [{ file: 'coord/tree/session-changes.ts', find: '    for (const path of this.#changes.get(sessionId)?.ephemerals ?? []) paths.add(path);\n', replace: '' }],
    hunts: [{ scenario: 'ZK-2355', servers: 3 }], expects: ['TxnDecision', 'SessionRules'],
  },
  {
    name: 'ephemeral-survives-close-on-followers', historic: 'ZK-5010, ZK-2355', summary: 'a closed session\'s ephemerals are removed by the leader only',
    edits: [
      { file: 'coord/tree/data-tree.ts', find: 'return this.#closeSession(header, txn);', replace: 'return this.#closeSession(header, wantResult ? txn : { ...txn, paths: [] });' },
    ],
    hunts: [{ scenario: 'ZK-5010', servers: 3 }], expects: ['Digest', 'SessionRules'],
  },
  {
    name: 'touches-stay-here', historic: '', summary: 'followers do not tell the leader which sessions they hear: live sessions expire',
    edits: [{ file: SERVER, find: '    else if (ids.length > 0) this.#toLeader(touchFrame(ids));\n', replace: '    else if (ids.length > 1000) this.#toLeader(touchFrame(ids));\n' }],
    hunts: [{ scenario: 'client', servers: 3 }, { scenario: 'rolling-restart', servers: 5 }], expects: ['EarlyExpiry', 'Lease'],
  },
  {
    name: 'expires-a-tick-early', historic: '', summary: 'the time at which a session is due is rounded down to a tick, and nothing is added for the way of what is heard',
    edits: [
      { file: 'coord/tree/session-tracker.ts', find: 'return Math.ceil(dueMs / this.#tickMs) * this.#tickMs;', replace: 'return Math.floor(dueMs / this.#tickMs) * this.#tickMs;' },
      { file: PIPELINE, find: 'timeoutMs + this.#hearsayMs, nowMs);', replace: 'timeoutMs, nowMs);' },
    ],
    hunts: [{ scenario: 'swarm', servers: 3 }, { scenario: 'swarm', servers: 5 }], expects: ['EarlyExpiry'],
  },
  {
    name: 'expires-by-the-wall-clock', historic: '', summary: 'sessions are timed by the wall clock, which jumps',
    edits: [{ file: SERVER, find: '    this.#leader?.expire(this.#nowMs, this.#wallMs);', replace: '    this.#leader?.expire(Math.max(this.#nowMs, this.#wallMs - 1_700_000_000_000), this.#wallMs);' }],
    hunts: [{ scenario: 'clock', servers: 3 }], expects: ['EarlyExpiry'],
  },
  {
    name: 'new-leader-old-timeouts', historic: '', summary: 'a new leader does not give sessions their whole timeout again',
    edits: [{ file: PIPELINE, find: 'this.#track(sessionId, session.timeoutMs, null, nowMs);', replace: 'this.#track(sessionId, session.timeoutMs, null, nowMs - session.timeoutMs);' }],
    hunts: [{ scenario: 'leader-loss', servers: 3 }], expects: ['EarlyExpiry'],
  },
  {
    name: 'session-never-expires', historic: 'ZK-1367', summary: 'a silent session is not ended: its ephemerals stay',
    edits: [{ file: PIPELINE, find: '      if (!this.#prep.hasSession(sessionId)) continue;\n      this.#counters.expired++;', replace: '      if (sessionId !== 0n) continue;\n      this.#counters.expired++;' }],
    hunts: [{ scenario: 'ZK-1367', servers: 3 }], expects: ['LateExpiry', 'SessionRules', 'Liveness'],
  },
  {
    name: 'moved-session-writes', historic: 'ZK-710, K3', summary: 'a request that arrives through the server that its session has left is carried out',
    edits: [{ file: PIPELINE, find: '    } else if (this.#claim(sessionId, originId) !== originId) {', replace: '    } else if (this.#claim(sessionId, originId) < 0) {' }],
    hunts: [{ scenario: 'ZK-710', servers: 3 }], expects: ['SessionOrder'],
  },
  {
    name: 'any-password', historic: '', summary: 'a session is given to whoever knows its id',
    edits: [{ file: PIPELINE, find: ' || !sameBytes(session.password, password)) return 0;', replace: ' || sameBytes(session.password, EMPTY_BODY) || password === session.password) return 0;' }],
    hunts: [{ scenario: 'swarm', servers: 3 }], expects: ['Password'],
  },
  {
    name: 'expires-within-a-lease', historic: '', summary: 'a session is expired after its timeout, though its server may have answered it since and not told the leader',
    edits: [{ file: PIPELINE, find: 'timeoutMs + this.#hearsayMs, nowMs);', replace: 'timeoutMs, nowMs);' }],
    hunts: [{ scenario: 'LEASE', servers: 3 }], expects: ['Lease', 'EarlyExpiry'],
  },
  {
    name: 'old-connection-goes-on', historic: 'K3', summary: 'what an old connection holds follows the REVALIDATE of its session: older writes come after newer ones',
    edits: [
      { file: SERVER, find: '    this.#flushOutbound();\n    this.#sessions.contest(sessionId);\n', replace: '    this.#sessions.contest(sessionId);\n' },
      { file: 'coord/server/session-connections.ts', find: '    if (connection !== undefined) connection.contested = true;\n', replace: '    void connection;\n' },
      { file: 'coord/server/session-connections.ts', find: '    connection.contested = this.#contests.has(connection.sessionId);\n', replace: '' },
    ],
    hunts: [{ scenario: 'ZK-710', servers: 3 }], expects: ['SessionOrder'],
  },
  {
    name: 'answers-the-silent', historic: '', summary: 'who was silent for a whole session timeout is answered on the old connection, while the leader ends the session',
    edits: [
      { file: SERVER, find: "    if (connection.state === 'open' && this.#nowMs - connection.heardMs >= connection.timeoutMs) return this.#close(connection);\n", replace: '' },
      // What a lost server may have answered would make up for it.
      { file: PIPELINE, find: '    this.#mayHaveHeard(originId, nowMs);\n', replace: '    if (originId < 0) this.#mayHaveHeard(originId, nowMs);\n' },
    ],
    hunts: [{ scenario: 'LEASE', servers: 3 }], expects: ['Lease', 'EarlyExpiry'],
  },
];
