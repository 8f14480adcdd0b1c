/**
 * A mutant: a patch of the product's source that puts a historic bug back, so that it can be seen that the simulator notices it. Nothing of it
 * is in the product; it is applied while the source is loaded (load-mutant.ts), in a process of its own.
 */
export interface Mutant {
  readonly name: string;
  /** The bug by name: 'ZK-3911' …; '' = none is on record. */
  readonly historic: string;
  /** One line: what goes wrong. */
  readonly summary: string;
  readonly edits: readonly Edit[];
  /** Where it is to be found. */
  readonly hunts: readonly Hunt[];
  /** Invariants that may catch it; any other is a finding about the judges. A run in which an assertion of the product fails catches it only if that is named here. */
  readonly expects: readonly string[];
}

export interface Edit {
  /** From the root of the source. */
  readonly file: string;
  /** Must occur exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Hunt {
  /** Or the file of a plan, from the root of the source. */
  readonly scenario: string;
  readonly servers: number;
}

/** The patched text. Throws RangeError when an edit does not fit the source any more. */
export function patch(mutant: Mutant, file: string, source: string): string {
  for (const edit of mutant.edits) {
    if (edit.file !== file) continue;
    const at = source.indexOf(edit.find);
    if (at < 0 || source.indexOf(edit.find, at + 1) >= 0) {
      throw new RangeError(`mutant ${mutant.name}: ${file} has ${at < 0 ? 'no' : 'more than one'} ${JSON.stringify(edit.find.slice(0, 80))}`);
    }
    source = source.slice(0, at) + edit.replace + source.slice(at + edit.find.length);
  }
  return source;
}
