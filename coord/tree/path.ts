/** Znode paths: ZooKeeper's PathUtils rules and the two halves of a path. */

/** Whether `path` names a znode: absolute, no empty, '.' or '..' segment, no trailing slash, none of the forbidden characters. */
export function validatePath(path: string): boolean {
  const length = path.length;
  if (length === 0 || path.charCodeAt(0) !== SLASH) return false;
  if (length === 1) return true;
  if (path.charCodeAt(length - 1) === SLASH) return false;
  let segmentStart = 1;
  for (let i = 1; i <= length; i++) {
    const c = i === length ? SLASH : path.charCodeAt(i);
    if (c === SLASH) {
      const segmentLength = i - segmentStart;
      if (segmentLength === 0) return false;
      if (segmentLength <= 2 && path.charCodeAt(segmentStart) === DOT && path.charCodeAt(i - 1) === DOT) return false;
      segmentStart = i + 1;
    } else if (c < 0x20 || (c >= 0x7f && c <= 0x9f) || (c >= 0xd800 && c <= 0xf8ff) || c >= 0xfff0) {
      return false;
    }
  }
  return true;
}

/** The parent of a path that holds a slash; '/' for '/a' and for '/'. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

/** What follows the last slash; '' for '/'. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Paths that no client may delete. */
export function isProtectedPath(path: string): boolean {
  return path === '/' || path === '/zookeeper' || path === '/zookeeper/quota' || path === CONFIG_PATH;
}

export const CONFIG_PATH = '/zookeeper/config';
const SLASH = 0x2f;
const DOT = 0x2e;
