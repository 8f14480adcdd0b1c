/** Mutants of the client library. */
import type { Mutant } from './mutant.ts';

const SESSION = 'coord/client/session.ts';

export const clientMutants: readonly Mutant[] = [
  {
    name: 'removal-takes-a-newer-watch', historic: '', summary: 'the removal of a persistent watch takes the one away that is being added meanwhile',
    edits: [{ file: SESSION, find: ' || this.#isAdding(mode, path)) {', replace: ' || (this.#isAdding(mode, path) && path === \'\')) {' }],
    hunts: [{ scenario: 'ZK-706', servers: 3 }], expects: ['WatchOrder', 'ClientPromise'],
  },
  {
    name: 'watches-in-one-frame', historic: 'ZK-706', summary: 'only the first part of the watches is set again, where they do not fit one frame',
    edits: [{ file: SESSION, find: 'for (const request of this.watches.setWatches(this.#lastZxid)) ', replace: 'for (const request of this.watches.setWatches(this.#lastZxid).slice(0, 1)) ' }],
    hunts: [{ scenario: 'ZK-706', servers: 3 }], expects: ['WatchOrder', 'ClientPromise'],
  },
  {
    name: 'lease-counts-from-replies', historic: 'CURATOR-444', summary: 'a client believes in its session for twice as long as the servers do',
    edits: [{ file: SESSION, find: '    return Math.max(0, this.#lastHeardMs + this.#timeoutMs - this.#now());', replace: '    return Math.max(0, this.#lastHeardMs + 2 * this.#timeoutMs - this.#now());' }],
    hunts: [{ scenario: 'LEASE', servers: 3 }], expects: ['Lease'],
  },
];
