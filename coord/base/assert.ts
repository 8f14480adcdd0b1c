/**
 * Invariant violations. An assertion that fails means that this process can no longer be trusted: nobody catches
 * it, and it stays on in production.
 */
export class AssertionFailed extends Error {
  override name = 'AssertionFailed';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(message);
}

/** The default branch of a switch over a union: the compiler rejects it if a member is missing. */
export function assertNever(value: never): never {
  throw new AssertionFailed(`unexpected value ${JSON.stringify(value)}`);
}
