/** The keys. */
import { byId } from './dom.ts';
import type { PageHost } from './page-host.ts';
import type { Search } from './search.ts';

export interface Actions {
  toViolation(): void;
  toDivergence(): void;
  showHelp(): void;
}

export function setUpKeys(page: PageHost, search: Search, { toViolation, toDivergence, showHelp }: Actions): void {
  const { spans, ui } = page;
  const { whole } = spans;
  const keys: Readonly<Record<string, () => void>> = {
    ArrowLeft: () => spans.pan(-0.2), ArrowRight: () => spans.pan(0.2), ArrowUp: () => spans.zoom(0.7), ArrowDown: () => spans.zoom(1 / 0.7),
    a: () => spans.pan(-0.2), d: () => spans.pan(0.2), w: () => spans.zoom(0.7), s: () => spans.zoom(1 / 0.7),
    '+': () => spans.zoom(0.7), '=': () => spans.zoom(0.7), '-': () => spans.zoom(1 / 0.7),
    v: toViolation, f: () => spans.glide(whole), p: toDivergence, b: () => page.setSplit(!ui.split),
    n: () => search.next(1), N: () => search.next(-1), ']': () => search.beside(1), '[': () => search.beside(-1),
    Home: () => spans.glide({ from: whole.from, to: whole.from + spans.length }), End: () => spans.glide({ from: whole.to - spans.length, to: whole.to }),
    '/': () => search.field.focus(), '?': showHelp,
    Escape: () => {
      if (search.field.value !== '') search.find('');
      page.pin(null);
    },
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId<HTMLDialogElement>('help').open) return;
    if (event.target === search.field) {
      if (event.key === 'Enter') search.next(event.shiftKey ? -1 : 1);
      else if (event.key === 'Escape') {
        search.find('');
        search.field.blur();
      } else return;
      event.preventDefault();
      return;
    }
    const act = Object.hasOwn(keys, event.key) ? keys[event.key] : undefined;
    if (act === undefined) return;
    event.preventDefault();
    act();
  });
}
