/** The client's numbers. */
export const limits = {
  sessionTimeoutMs: 10_000,
  connectTimeoutMs: 10_000,
  queuedRequestsMax: 10_000,
  requestBytesMax: 0xfffff,
  /** How long close() looks for a server that ends the session. */
  closeTimeoutMs: 2_000,
  /** The pause between two attempts in the first round over all servers; doubled from round to round. */
  backoffFirstMs: 10,
  backoffMaxMs: 1_000,
  /** How long a server may take to accept a connection and answer the handshake in the first round; doubled from round to round. */
  handshakeFirstMs: 1_000,
  handshakeMinMs: 200,
  /** How long the client stays on a read-only server, while it has nothing to do there; doubled from one to the next. */
  readOnlyFirstMs: 1_000,
  readOnlyMaxMs: 60_000,
  /** A timer that fires this much late says that the process was held up. */
  lateTimerMs: 200,
} as const;
