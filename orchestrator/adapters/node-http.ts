/**
 * node:http, but not by `import`, which reads every export, also the getters behind which Node keeps its WebSocket and fetch: 13 MiB and 20 to
 * 30 ms of every process.
 */
export const { createServer } = process.getBuiltinModule('node:http');
