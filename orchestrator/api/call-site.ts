/** Where in the user's source a method of the job API was called: "wordcount.ts:12:4". */

/** Frames of these files are ours: they only pass on what the user gave them. */
const own = placesOf(import.meta.url);
/** Bundles are evaluated under this path (see submit/load-bundle.ts), followed by "<hash>/". */
export const BUNDLE_ROOT = '/drey-bundle/';

export function callSite(): string {
  return firstForeignFrame(new Error('call site').stack ?? '') ?? 'unknown';
}

/** The place that an error's stack names first outside this API; null if there is none. */
export function firstForeignFrame(stack: string): string | null {
  for (const line of stack.split('\n')) {
    const match = /^\s*at (?:.*\()?(\S+?:\d+:\d+)\)?$/.exec(line);
    const place = match?.[1];
    if (place === undefined || place.startsWith('node:') || own.some((prefix) => place.startsWith(prefix))) continue;
    return readablePlace(place);
  }
  return null;
}

/** Without what only this process knows: the bundle's folder, the file scheme. */
export function readablePlace(place: string): string {
  const path = place.startsWith('file://') ? decodeURIComponent(place.slice(7)) : place;
  if (!path.startsWith(BUNDLE_ROOT)) return path;
  const below = path.slice(BUNDLE_ROOT.length);
  return below.slice(below.indexOf('/') + 1);
}

/** How frames of the API, of which the module at `url` is one, begin. With source maps those of what was built name what it was built from. */
export function placesOf(url: string): string[] {
  const built = url.lastIndexOf('/dist/');
  const modules = url.endsWith('.js') && built >= 0 ? [url, url.slice(0, built) + url.slice(built + '/dist'.length)] : [url];
  return modules.flatMap((module) => ['.', '../graph/', '../../connectors/'].map((room) => new URL(room, module))).flatMap(({ href, pathname }) => [href, decodeURIComponent(pathname)]);
}
