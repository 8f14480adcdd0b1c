/** The jobs of jobs.ts, for whoever draws a plan and need not load them. */
export const JOB_NAMES = ['pass', 'windows', 'counts', 'at-least-once', 'files'] as const;
export type JobName = (typeof JOB_NAMES)[number];
