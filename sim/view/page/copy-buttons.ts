/** The buttons that copy a command. */
import { el } from './dom.ts';

export function setUpCopyButtons(say: (text: string) => void): void {
  for (const copy of document.querySelectorAll<HTMLButtonElement>('[data-copy]')) {
    copy.addEventListener('click', () => {
      void copyText(copy.getAttribute('data-copy') as string).then((done) => {
        const label = copy.textContent;
        copy.textContent = done ? 'Copied' : 'Not allowed';
        say(done ? 'Copied' : 'Copying is not allowed here');
        if (label !== 'Copied') setTimeout(() => (copy.textContent = label), 1500);
      });
    });
  }
}

async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages from files may not; the old way may.
    const field = el('textarea', { readonly: '' });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand('copy');
    field.remove();
    return done;
  }
}
