import { Prng } from '../../../coord/base/prng.ts';

/** What jobs/windowed.ts has to write, counted apart from it. */
export function recount(count: number): string[] {
  const counts = new Map<string, number>();
  for (let lane = 0; lane < 4; lane++) {
    for (let index = 0; index < count; index++) {
      const prng = new Prng(`windowed/${lane}/${index}`);
      const start = 1_700_000_000_000 + Math.floor((index * 10) / 1000) * 1000;
      for (let left = prng.between(1, 5); left > 0; left--) {
        const key = JSON.stringify({ word: `w${prng.below(50)}`, start });
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
  }
  return [...counts].map(([key, n]) => JSON.stringify({ ...(JSON.parse(key) as object), n })).sort();
}

/** Lines that are missing and lines that are too many, a few of each; empty when the two are the same. */
export function difference(actual: readonly string[], expected: readonly string[]): { readonly missing: string[]; readonly extra: string[] } {
  const counts = new Map<string, number>();
  for (const line of expected) counts.set(line, (counts.get(line) ?? 0) + 1);
  for (const line of actual) counts.set(line, (counts.get(line) ?? 0) - 1);
  const lines = [...counts];
  return { missing: lines.filter(([, n]) => n > 0).map(([line]) => line).slice(0, 10), extra: lines.filter(([, n]) => n < 0).map(([line]) => line).slice(0, 10) };
}
