/** What the world tells whoever records a run, so that it can be drawn. All times in virtual ms. No recorder, no cost: callers ask `world.recorder?.`. */
export interface Recorder {
  lane(id: string, kind: LaneKind): void;
  /** An entry of the trace. */
  event(atMs: number, lane: string, name: string, fields: Readonly<Record<string, unknown>>): void;
  /** `arrivesMs` null: it is lost. `fields`: what hovering shows. */
  message(from: string, to: string, type: string, sentMs: number, arrivesMs: number | null, fields: Readonly<Record<string, unknown>>): void;
  /** For who wants it drawn before its fate is known: the number names it for `arrived`. If nobody says that, it is on its way when the recording ends. */
  sent(from: string, to: string, type: string, sentMs: number, fields: Readonly<Record<string, unknown>>): number;
  arrived(message: number, atMs: number, lost: boolean): void;
  /** Something that lasts: 'role' (down, looking, following, leading), 'epoch', 'disk' (write: some are in flight), 'disk fault' (slow, stalled, full), 'session', 'task', 'checkpoint'. A second begin of a band ends the first. */
  begin(atMs: number, lane: string, band: string, label: string): void;
  end(atMs: number, lane: string, band: string): void;
  fault(id: string, kind: string, lanes: readonly string[], fromMs: number, toMs: number, label: string): void;
  /** An operation of a client; `returnMs` null: its outcome is unknown. */
  operation(lane: string, kind: string, path: string, callMs: number, returnMs: number | null, outcome: string, zxid: number): void;
  violation(atMs: number, invariant: string, message: string, lane: string | null): void;
}
export type LaneKind = 'server' | 'client' | 'jobmanager' | 'taskmanager' | 'kafka' | 'storage' | 'nemesis';
