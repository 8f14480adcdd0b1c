/** Takes out all there is. Setting a length is a call into the runtime, and what is emptied each turn holds nothing most of the time. */
export function empty(array: unknown[]): void {
  if (array.length > 0) array.length = 0;
}
