import test from 'ava';
import { Fifo } from '../../../coord/base/fifo.ts';
import { Prng } from '../../../coord/base/prng.ts';

test('it is a list that is taken from at its head, however long it gets and however often it is emptied', (t) => {
  const prng = new Prng('fifo');
  const fifo = new Fifo<number>();
  let list: number[] = [];
  for (let step = 0; step < 2000; step++) {
    const burst = prng.pick([1, 5, 3000]);
    const what = prng.float();
    if (what < 0.5) {
      for (let i = 0; i < burst; i++) {
        fifo.push(step + i);
        list.push(step + i);
      }
    } else if (what < 0.55 && list.length > 0) {
      fifo.replaceLast(step);
      list[list.length - 1] = step;
    } else if (what < 0.98) for (let i = 0; i < burst; i++) if (fifo.shift() !== list[i]) return t.fail(`step ${step}`);
    if (what >= 0.98) {
      t.deepEqual(fifo.takeAll(), list);
      list = [];
    } else if (what >= 0.55) list = list.slice(burst);
    if (fifo.size !== list.length || fifo.peek() !== list[0] || fifo.last() !== list.at(-1)) return t.fail(`step ${step}`);
    if (list.length > 0) t.true(fifo.some((item) => item === list.at(-1)));
    t.false(fifo.some((item) => item < 0));
  }
});
