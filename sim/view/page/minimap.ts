/** The whole run in a strip: how much happened when, roles of the servers, faults, matches, the violation, and the span that is shown. */
import { FAMILIES, type RunModel } from './run-model.ts';
import type { Theme } from './theme.ts';
import type { Span, UiState } from './ui-state.ts';

export class Minimap {
  readonly canvas: HTMLCanvasElement;
  readonly #pen: CanvasRenderingContext2D;
  readonly #models: readonly RunModel[];
  readonly #endAt: number;
  width = 0;
  height = 0;

  constructor(canvas: HTMLCanvasElement, models: readonly RunModel[], endAt: number) {
    this.canvas = canvas;
    this.#pen = canvas.getContext('2d') as CanvasRenderingContext2D;
    this.#models = models;
    this.#endAt = endAt;
  }

  resize(width: number, height: number): void {
    const ratio = window.devicePixelRatio || 1;
    this.width = width;
    this.height = height;
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    this.#pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#picture = null;
  }
  at(x: number): number {
    return (x / this.width) * this.#endAt;
  }
  x(at: number): number {
    return (at / this.#endAt) * this.width;
  }

  /** The part that does not move, drawn once per size and theme. */
  #picture: { readonly theme: Theme; readonly image: HTMLCanvasElement } | null = null;

  draw(ui: UiState, theme: Theme, divergesAt: number | null): void {
    const pen = this.#pen;
    if (this.#picture?.theme !== theme) this.#picture = { theme, image: this.#drawPicture(theme) };
    pen.clearRect(0, 0, this.width, this.height);
    pen.drawImage(this.#picture.image, 0, 0, this.width, this.height);
    pen.fillStyle = theme['match'] as string;
    for (const { item, pane } of ui.matches) pen.fillRect(this.x((this.#models[pane] as RunModel).from(item)), 0, 1.5, 5);
    if (divergesAt !== null) {
      pen.fillStyle = theme['split'] as string;
      pen.fillRect(this.x(divergesAt) - 0.5, 0, 1.5, this.height);
    }
    const violation = this.#models[0]?.run.violation ?? null;
    if (violation !== null) {
      pen.fillStyle = theme['red'] as string;
      pen.fillRect(Math.min(this.width - 2, this.x(violation.at) - 1), 0, 2, this.height);
    }
    this.#drawSpan(ui.span, theme);
  }

  #drawSpan(span: Span, theme: Theme): void {
    const pen = this.#pen;
    const x0 = Math.max(0, this.x(span.from));
    const x1 = Math.min(this.width, Math.max(x0 + 3, this.x(span.to)));
    pen.fillStyle = theme['bg'] as string;
    pen.globalAlpha = 0.62;
    pen.fillRect(0, 0, x0, this.height);
    pen.fillRect(x1, 0, this.width - x1, this.height);
    pen.globalAlpha = 1;
    pen.strokeStyle = theme['accent'] as string;
    pen.lineWidth = 1.5;
    pen.strokeRect(x0 + 0.75, 0.75, Math.max(2, x1 - x0 - 1.5), this.height - 1.5);
  }

  #drawPicture(theme: Theme): HTMLCanvasElement {
    const ratio = window.devicePixelRatio || 1;
    const image = document.createElement('canvas');
    image.width = Math.max(1, Math.round(this.width * ratio));
    image.height = Math.max(1, Math.round(this.height * ratio));
    const pen = image.getContext('2d') as CanvasRenderingContext2D;
    pen.scale(ratio, ratio);
    const model = this.#models[0] as RunModel;
    const { run } = model;
    const servers = model.lanes.filter(({ kind }) => kind === 'server' || kind === 'jobmanager');
    const rolesHeight = Math.min(18, servers.length * 3);
    const graph = this.height - rolesHeight - 4;
    for (const fault of run.faults) {
      pen.fillStyle = theme['fault-ink'] as string;
      pen.globalAlpha = 0.12;
      const x0 = this.x(fault.from);
      pen.fillRect(x0, 0, Math.max(1.5, this.x(fault.to < 0 ? model.endAt : fault.to) - x0), this.height);
    }
    pen.globalAlpha = 1;
    // Messages per two pixels, heartbeats apart.
    const bins = Math.max(1, Math.ceil(this.width / 2));
    const counts = FAMILIES.map(() => new Float64Array(bins));
    for (const [no, at] of run.messages.sentAt.entries()) {
      const bin = Math.min(bins - 1, Math.floor(this.x(at) / 2));
      const list = counts[model.family[no] as number] as Float64Array;
      list[bin] = (list[bin] as number) + 1;
    }
    let most = 1;
    const shown = FAMILIES.map((family, i) => ({ family, i })).filter(({ family }) => family !== 'heartbeat');
    for (let bin = 0; bin < bins; bin++) most = Math.max(most, shown.reduce((sum, { i }) => sum + (counts[i]?.[bin] as number), 0));
    for (let bin = 0; bin < bins; bin++) {
      let y = 2 + graph;
      for (const { family, i } of shown) {
        const n = counts[i]?.[bin] as number;
        if (n === 0) continue;
        const height = Math.max(0.75, graph * Math.sqrt(n / most) * 0.95 * (n / Math.max(n, shown.reduce((sum, other) => sum + (counts[other.i]?.[bin] as number), 0))));
        pen.fillStyle = theme[`m-${family}`] as string;
        pen.fillRect(bin * 2, y - height, 1.5, height);
        y -= height;
      }
    }
    for (const [index, lane] of servers.entries()) {
      const y = this.height - rolesHeight + (index * rolesHeight) / servers.length;
      for (const [no, laneNo] of run.bands.lane.entries()) {
        if (laneNo !== lane.no || model.text(run.bands.band[no] as number) !== 'role') continue;
        const role = model.text(run.bands.label[no] as number).split(',')[0] as string;
        const x0 = this.x(run.bands.from[no] as number);
        const to = run.bands.to[no] as number;
        pen.fillStyle = theme[role === 'leading' ? 'leading' : role === 'following' ? 'following' : role === 'down' ? 'bg' : 'looking'] as string;
        pen.fillRect(x0, y, Math.max(0.5, this.x(to < 0 ? model.endAt : to) - x0), Math.max(1, rolesHeight / servers.length - 0.5));
      }
    }
    return image;
  }
}
