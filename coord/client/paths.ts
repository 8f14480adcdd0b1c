/** Paths as clients may give them, and the chroot, of which servers know nothing. */

/** What is wrong with a path, or null. The rules are ZooKeeper's (PathUtils.validatePath). */
export function validatePath(path: string): string | null {
  if (path === '') return 'is empty';
  if (path[0] !== '/') return 'does not begin with /';
  if (path === '/') return null;
  if (path.endsWith('/')) return 'ends with /';
  // Ordinary names need no look at every character by itself.
  if (/^(?:\/[\w-]+)+$/.test(path)) return null;
  if (/\/(?:\/|\.\.?(?:\/|$))/.test(path)) return 'has an empty, "." or ".." part';
  for (let i = 0; i < path.length; i++) {
    const unit = path.charCodeAt(i);
    if (unit < 0x20 || (unit >= 0x7f && unit <= 0x9f) || (unit >= 0xd800 && unit <= 0xf8ff) || unit >= 0xfff0) {
      return `has the character U+${unit.toString(16).padStart(4, '0')}, which is not allowed`;
    }
  }
  return null;
}

/** The server's path of a client's. */
export function prependChroot(chroot: string, path: string): string {
  if (chroot === '') return path;
  return path === '/' ? chroot : chroot + path;
}

/** The client's path of a server's; what is outside (only /zookeeper/… can be) stays as it is. */
export function stripChroot(chroot: string, path: string): string {
  if (chroot === '') return path;
  if (path === chroot) return '/';
  return path.startsWith(`${chroot}/`) ? path.slice(chroot.length) : path;
}

export function parentPath(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

export function joinPath(parent: string, name: string): string {
  return parent === '/' ? `/${name}` : `${parent}/${name}`;
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
