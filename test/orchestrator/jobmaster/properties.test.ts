/** Whatever happens in whatever order: what the head comments of the core promise, and that the job runs again afterwards. */
import test from 'ava';
import fc from 'fast-check';
import { Bench, testGraph } from './doubles.ts';

type Step =
  | { readonly type: 'kill' | 'disconnect' | 'deaf' | 'hang'; readonly which: number }
  | { readonly type: 'fail'; readonly which: number }
  | { readonly type: 'pass'; readonly ms: number }
  | { readonly type: 'add' | 'elect' | 'holdWrites' | 'release' | 'holdAcks' | 'acks' | 'moreSplits' | 'unhang' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 1500 }) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constantFrom('kill' as const, 'disconnect' as const, 'deaf' as const, 'hang' as const), which: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('fail' as const), which: fc.nat(9) }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constantFrom('add' as const, 'elect' as const, 'holdWrites' as const, 'release' as const, 'holdAcks' as const, 'acks' as const, 'moreSplits' as const, 'unhang' as const) }) },
);

function watched(): { bench: Bench; check: () => void } {
  const bench = new Bench();
  let counter = 0;
  let attempt = 0;
  bench.onSend = (_to, message) => {
    const { record, completed, counter: durable } = bench.stored();
    const newest = completed.at(-1)?.checkpointId ?? 0;
    if (message.type === 'deploy') {
      for (const { executionId, restore, attempt: of, splits } of message.tasks) {
        if (of > record.attempt) throw new Error(`${executionId} is deployed before its assignment is durable`);
        if ((restore?.checkpointId ?? 0) !== newest) throw new Error(`${executionId} begins from checkpoint ${restore?.checkpointId} instead of ${newest}`);
        const mine = record.splits['src']?.assigned.filter(({ subtask }) => executionId.startsWith(`j/src/${subtask}/`)).map(({ split }) => split.id) ?? [];
        if (mine.some((id) => !splits.some((split) => split.id === id))) throw new Error(`${executionId} lacks splits`);
        for (const other of bench.taskManagers.values()) {
          const rival = other.live.find(({ deployment }) => deployment.executionId.startsWith(executionId.slice(0, executionId.lastIndexOf('/') + 1)));
          if (rival !== undefined) throw new Error(`${executionId} is deployed while ${rival.deployment.executionId} lives on ${other.id}`);
        }
      }
      if (record.attempt < attempt) throw new Error('attempts go back');
      attempt = record.attempt;
    } else if (message.type === 'triggerCheckpoint') {
      if (message.checkpointId > durable) throw new Error(`checkpoint ${message.checkpointId} is triggered before its id is durable`);
      if (message.checkpointId < counter) throw new Error(`checkpoint id ${message.checkpointId} comes after ${counter}`);
      counter = message.checkpointId;
    } else if (message.type === 'checkpointComplete' && !completed.some(({ checkpointId }) => checkpointId === message.checkpointId)) {
      throw new Error(`checkpoint ${message.checkpointId} is told to be complete and is not in coord`);
    } else if (message.type === 'abortCheckpoint' && completed.some(({ checkpointId }) => checkpointId === message.checkpointId)) {
      throw new Error(`checkpoint ${message.checkpointId} is aborted and complete`);
    }
  };
  const check = (): void => {
    const { completed, counter: durable } = bench.stored();
    for (const { checkpointId } of completed) if (checkpointId > durable || bench.discarded.includes(`j/${checkpointId}`)) throw new Error(`checkpoint ${checkpointId} should not be there`);
    const used = [...bench.taskManagers.values()].map(({ id, slots }) => [slots, bench.stored().record.slots.filter((each) => each === id).length] as const);
    if (used.some(([slots, held]) => held > slots)) throw new Error('more slots are held than there are');
  };
  return { bench, check };
}

for (const forward of [false, true]) {
  test(`a job survives every order of failures (${forward ? 'one region for each subtask' : 'one region'})`, (t) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { bench, check } = watched();
        bench.submit(testGraph({ forward, restart: { type: 'fixed-delay', attempts: 1000, delayMs: 10 } }));
        let added = 0;
        for (const each of steps) {
          const ids = [...bench.taskManagers.keys()];
          const id = 'which' in each ? ids[each.which % Math.max(1, ids.length)] : undefined;
          switch (each.type) {
            case 'kill':
              if (id !== undefined) bench.kill(id);
              break;
            case 'disconnect':
              if (id === undefined) break;
              bench.reconnect(id);
              break;
            case 'deaf':
            case 'hang': {
              const taskManager = bench.taskManagers.get(id ?? '');
              if (taskManager !== undefined) taskManager[each.type === 'deaf' ? 'deaf' : 'hung'] = true;
              break;
            }
            case 'unhang':
              bench.unhang();
              break;
            case 'fail': {
              const live = [...bench.taskManagers.values()].flatMap((taskManager) => taskManager.live);
              const task = live[each.which % Math.max(1, live.length)];
              if (task !== undefined) bench.failTask(task.deployment.executionId);
              break;
            }
            case 'pass':
              bench.pass(each.ms);
              break;
            case 'add':
              bench.addTaskManager(`t${added++}`, 2);
              break;
            case 'elect':
              bench.elect();
              break;
            case 'holdWrites':
              bench.holdWrites = true;
              break;
            case 'release':
              bench.release();
              break;
            case 'holdAcks':
              for (const taskManager of bench.taskManagers.values()) taskManager.holdAcks = true;
              break;
            case 'acks':
              bench.acks();
              break;
            case 'moreSplits':
              bench.splits = [...bench.splits, `s${bench.splits.length}`];
              break;
          }
          check();
        }
        bench.release();
        bench.unhang();
        for (const taskManager of bench.taskManagers.values()) taskManager.holdAcks = false;
        bench.addTaskManager('last', 2);
        for (const id of bench.taskManagers.keys()) bench.reconnect(id);
        bench.pass(500);
        check();
        const told = bench.stored().completed.at(-1)?.checkpointId ?? 0;
        for (const { live } of bench.taskManagers.values()) {
          for (const { deployment, completed } of live) {
            if (told > 0 && deployment.restore?.checkpointId !== told && !completed.includes(told)) throw new Error(`${deployment.executionId} was never told that checkpoint ${told} is complete`);
          }
        }
        bench.pass(5000);
        check();
        if (bench.stored().record.status !== 'RUNNING') throw new Error(`the job is ${bench.stored().record.status}`);
        const current = bench.job().graph.tasks.map(({ execution }) => `${execution?.executionId.slice(2)}@${execution?.taskManagerId}`).sort();
        if (JSON.stringify(bench.running) !== JSON.stringify(current)) throw new Error(`running: ${bench.running.join(' ')}, thought to run: ${current.join(' ')}`);
        const before = bench.stored().completed.at(-1)?.checkpointId ?? 0;
        bench.pass(2000);
        if ((bench.stored().completed.at(-1)?.checkpointId ?? 0) <= before) throw new Error('no checkpoint completes any more');
        bench.request('stop');
        bench.pass(1000);
        if (bench.stored().record.status !== 'FINISHED') throw new Error(`after the stop the job is ${bench.stored().record.status}`);
      }),
      { numRuns: 400, includeErrorInReport: true },
    );
    t.pass();
  });
}
