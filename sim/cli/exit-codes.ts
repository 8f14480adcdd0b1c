/** Exit codes of `drey sim`. The kinds of finding have small numbers of their own; what never got to run has those of sysexits.h. */
import type { Finding } from './seed-report.ts';

export const EXIT: Readonly<Record<'ok' | Finding, number>> = { ok: 0, safety: 1, liveness: 2, crash: 3, nondeterminism: 4, 'gave-up': 5 };
/** Wrong usage, a name that is not known, a file that cannot be read: elsewhere in drey 2 or 1, which mean findings here. */
export const EXIT_USAGE = 64;
export const EXIT_INTERRUPTED = 130;

export const EXIT_HELP = 'Exit codes: 0 ok, 1 a safety property is broken, 2 no progress (liveness), 3 a crash, 4 two runs of a seed differ or code reached for the real world, 5 the checker gave up, 64 wrong usage, 70 drey sim itself fell over, 130 interrupted.';
