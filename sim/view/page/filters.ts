/** The filters, which are the legend too. */
import type { PageHost } from './page-host.ts';
import { FAMILIES, isRead, type RunModel } from './run-model.ts';

export function setUpFilters({ models, ui, changed }: PageHost): void {
  const chips = [...document.querySelectorAll<HTMLButtonElement>('#filters [data-shows]')].map((chip) => ({ chip, name: chip.getAttribute('data-shows') as string }));
  const show = (): void => {
    for (const { chip, name } of chips) chip.setAttribute('aria-pressed', String(!ui.hidden.has(name)));
  };
  for (const { chip, name } of chips) {
    chip.hidden = !models.some((model) => holds(model, name));
    chip.addEventListener('click', () => {
      if (!ui.hidden.delete(name)) ui.hidden.add(name);
      show();
      changed();
    });
    chip.addEventListener('dblclick', () => {
      // Only this one, or all again.
      const isAlone = chips.every((other) => other.name === name || ui.hidden.has(other.name));
      for (const other of chips) {
        if (isAlone || other.name === name) ui.hidden.delete(other.name);
        else ui.hidden.add(other.name);
      }
      show();
      changed();
    });
  }
  show();
}

function holds(model: RunModel, name: string): boolean {
  if (FAMILIES.includes(name as never)) return model.family.includes(FAMILIES.indexOf(name as never));
  if (name === 'writes' || name === 'reads') return model.run.operations.kind.some((kind) => isRead(model.text(kind)) === (name === 'reads'));
  if (name === 'faults') return model.run.faults.length > 0;
  if (name === 'disk') return model.run.bands.band.some((band) => model.text(band) === 'disk');
  return model.eventKind.includes(name as never);
}
