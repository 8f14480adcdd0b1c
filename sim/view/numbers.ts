/** How the page writes numbers: as the command line does, with commas between thousands. */

/** Microseconds as milliseconds. */
export function clock(us: number, digits = 3): string {
  const [whole = '', part] = (us / 1000).toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return part === undefined ? grouped : `${grouped}.${part}`;
}

export function count(n: number): string {
  return clock(n * 1000, 0);
}
