/** Results of reads show the live znode; whoever is told of them later keeps what they were when they were sent. */
import { StatSnapshot } from '../../coord/tree/znode.ts';
import type { Result } from '../../coord/wire/types.ts';

export function copyResult(result: Result | null): Result | null {
  switch (result?.kind) {
    case 'data':
      return { kind: 'data', data: result.data === null ? null : result.data.slice(), stat: new StatSnapshot(result.stat) };
    case 'stat':
      return { kind: 'stat', stat: new StatSnapshot(result.stat) };
    case 'childrenStat':
      return { kind: 'childrenStat', children: [...result.children], count: result.count, stat: new StatSnapshot(result.stat) };
    default:
      return result;
  }
}
