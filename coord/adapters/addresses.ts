/** Addresses of sockets, as people and ACLs write them. */

/** Without the prefix that IPv4 addresses have on a socket that takes both families. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

/** True when the client runs on this machine: the loopback, or the very address that it has reached. */
export function isLocalAddress(address: string, localAddress: string | undefined): boolean {
  return address === '::1' || address.startsWith('127.') || (localAddress !== undefined && address === plainAddress(localAddress));
}
