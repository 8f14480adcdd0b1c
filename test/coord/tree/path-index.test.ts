import test from 'ava';
import { Prng, hashString } from '../../../coord/base/prng.ts';
import { PathIndex } from '../../../coord/tree/path-index.ts';
import { Znode, ZnodeStore } from '../../../coord/tree/znode.ts';

test('holds what a Map holds, through growth and deletion', (t) => {
  const prng = new Prng('path-index');
  const store = new ZnodeStore();
  const index = new PathIndex();
  const model = new Map<string, Znode>();
  for (let i = 0; i < 60_000; i++) {
    // Grows, is emptied almost, grows again.
    const keep = i < 25_000 || i > 45_000;
    const path = `/n${prng.below(20_000)}`;
    const known = model.get(path);
    if (known === undefined && (keep || prng.chance(0.1))) {
      const node = new Znode(path, store);
      node.pathHash = hashString(path);
      index.add(node);
      model.set(path, node);
    } else if (known !== undefined && (!keep || prng.chance(0.3))) {
      index.delete(known);
      model.delete(path);
      known.release();
    }
    if (i % 5000 === 0) for (let n = 0; n < 20_000; n++) if (index.get(`/n${n}`) !== model.get(`/n${n}`)) t.fail(`/n${n} after ${i} steps`);
  }
  t.is(index.size, model.size);
  t.deepEqual([...index].map((node) => node.path).sort(), [...model.keys()].sort());
});

test('paths of one hash are told apart', (t) => {
  const store = new ZnodeStore();
  const index = new PathIndex();
  const nodes = Array.from({ length: 100 }, (_, i) => {
    const node = new Znode(`/collides${i}`, store);
    node.pathHash = 77;
    index.add(node);
    return node;
  });
  for (const node of nodes.filter((_, i) => i % 3 === 0)) index.delete(node);
  t.deepEqual([...index].map((node) => node.path).sort(), nodes.filter((_, i) => i % 3 !== 0).map((node) => node.path).sort());
});
