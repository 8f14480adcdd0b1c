/** What the world tells whoever records a run, so that it can be drawn. All times in virtual ms. No recorder, no cost: callers ask `world.recorder?.`. */
export interface Recorder {
  lane(id: string, kind: LaneKind): void;
  /** An entry of the trace. */
  event(atMs: number, lane: string, name: string, fields: Readonly<Record<string, unknown>>): void;
  /** `arrivesMs` null: it is lost. `frame`: decoded for hovering. */
  message(from: string, to: string, type: string, sentMs: number, arrivesMs: number | null, fields: Readonly<Record<string, unknown>>): void;
  /** Something that lasts: 'role' (down, looking, following, leading), 'epoch', 'disk' (write in flight, stalled, failing, full), 'session', 'task', 'checkpoint'. */
  begin(atMs: number, lane: string, band: string, label: string): void;
  end(atMs: number, lane: string, band: string): void;
  fault(id: string, kind: string, lanes: readonly string[], fromMs: number, toMs: number, label: string): void;
  /** An operation of a client; `returnMs` null: its outcome is unknown. */
  operation(lane: string, kind: string, path: string, callMs: number, returnMs: number | null, outcome: string, zxid: number): void;
  violation(atMs: number, invariant: string, message: string, lane: string | null): void;
}
export type LaneKind = 'server' | 'client' | 'jobmanager' | 'taskmanager' | 'kafka' | 'storage' | 'nemesis';
