/**
 * Delta debugging (after Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002): which of many things are needed for a
 * failure. The result is 1-minimal: without any single one of what is left, the failure does not show. Always the same steps in the same order.
 */

/** Parts are tried alone as long as there are only so many: later it is rare that one of them is enough. */
const ALONE_MAX = 4;

/** `fails` says whether the failure shows with these only; it is taken as given that it shows with all. Order is kept. */
export async function ddmin<T>(items: readonly T[], fails: (kept: readonly T[]) => Promise<boolean>): Promise<readonly T[]> {
  if (items.length === 0 || (await fails([]))) return [];
  let kept = items;
  for (let parts = 2; kept.length > 1; ) {
    const size = Math.ceil(kept.length / parts);
    const alone = parts > ALONE_MAX ? null : await partAlone(kept, size, fails);
    if (alone !== null) {
      kept = alone;
      parts = 2;
      continue;
    }
    const fewer = await withoutParts(kept, size, fails);
    if (size === 1 && fewer.length === kept.length) break;
    kept = fewer;
    parts = size === 1 ? kept.length : Math.min(Math.ceil(kept.length / size) * 2, kept.length);
  }
  return kept;
}

async function partAlone<T>(items: readonly T[], size: number, fails: (kept: readonly T[]) => Promise<boolean>): Promise<readonly T[] | null> {
  for (let at = 0; at < items.length; at += size) {
    const part = items.slice(at, at + size);
    if (part.length < items.length && (await fails(part))) return part;
  }
  return null;
}

/** Takes away whatever part is not needed, one after the other, the last first: what comes late is most often a consequence. */
async function withoutParts<T>(items: readonly T[], size: number, fails: (kept: readonly T[]) => Promise<boolean>): Promise<readonly T[]> {
  let kept = items;
  for (let at = Math.floor((items.length - 1) / size) * size; at >= 0; at -= size) {
    const rest = [...kept.slice(0, at), ...kept.slice(at + size)];
    if (rest.length > 0 && (await fails(rest))) kept = rest;
  }
  return kept;
}
