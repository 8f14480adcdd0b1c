/** The last lines that each job's tasks logged in this process. */
const LINES_PER_JOB = 1000;
const JOBS = 100;

export class JobLogs {
  readonly #lines = new Map<string, string[]>();

  add(jobId: string, line: string): void {
    let lines = this.#lines.get(jobId);
    // The job that was silent longest is the first of the map.
    if (lines !== undefined) this.#lines.delete(jobId);
    else if (this.#lines.size >= JOBS) this.#lines.delete(this.#lines.keys().next().value as string);
    lines ??= [];
    this.#lines.set(jobId, lines);
    lines.push(line);
    if (lines.length >= 2 * LINES_PER_JOB) lines.splice(0, lines.length - LINES_PER_JOB);
  }

  tail(jobId: string, lines: number): string[] {
    return lines <= 0 ? [] : (this.#lines.get(jobId) ?? []).slice(-Math.min(lines, LINES_PER_JOB));
  }
}
