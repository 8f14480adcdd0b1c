/** What the page is given. Types only: both the writer, which is Node, and the script in the browser read them. */
import type { Recorded } from '../record/recorded.ts';

export interface PageMeta {
  readonly scenario: string;
  readonly seed: string;
  readonly servers: number;
  readonly mutant?: string;
  readonly outcome: 'ok' | 'safety' | 'liveness' | 'crash' | 'nondeterminism' | 'gave-up';
  /** Shown in the order given: 'virtual time' → '8.4 s', 'trace' → 'a1b2c3d4', … */
  readonly facts: readonly { readonly label: string; readonly value: string }[];
  /** Lines to copy: 'replay', 'shrink', … */
  readonly commands: readonly { readonly label: string; readonly command: string }[];
}
export interface Neighbour {
  readonly recorded: Recorded;
  /** What is different about it: 'without fault f3, crash of server-2'. */
  readonly label: string;
}
export interface PageData {
  readonly meta: PageMeta;
  readonly run: Recorded;
  readonly neighbour: Neighbour | null;
}
