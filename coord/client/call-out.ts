/**
 * Calls what a user has given. An exception in it is the user's own: it must neither stop halfway what the client is doing nor be taken for
 * the failure of an operation, so it surfaces as an uncaught exception.
 */
export function callOut(fn: () => void): void {
  try {
    fn();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
