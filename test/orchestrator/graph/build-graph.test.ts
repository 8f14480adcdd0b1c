import test from 'ava';
import { collectionSource, collectSink } from '../../../connectors/index.ts';
import { boundedOutOfOrderness, count, job, tumbling } from '../../../orchestrator/api/index.ts';
import type { JobOptions } from '../../../orchestrator/api/job.ts';
import type { StreamEnvironment } from '../../../orchestrator/api/stream.ts';
import { buildGraph, graphHash } from '../../../orchestrator/graph/build-graph.ts';

const source = collectionSource(['1 a b', '2 c']);
const here = 'test/orchestrator/graph/build-graph.test.ts';

function graphOf(define: (env: StreamEnvironment) => void, options: JobOptions = {}, overrides = {}) {
  return buildGraph(job('j', define, options), {}, overrides).graph;
}
function summary(define: (env: StreamEnvironment) => void, options: JobOptions = {}): string[] {
  const graph = graphOf(define, options);
  return [
    ...graph.vertices.map((v) => `${v.id} x${v.parallelism}: ${v.operators.map((o) => o.id).join(' ')}`),
    ...graph.edges.map((e) => `${e.from} -${e.partitioning}-> ${e.to}`),
  ];
}

test('forward operators of equal parallelism are one vertex; keyBy begins the next one by hash', (t) => {
  t.deepEqual(
    summary(
      (env) => {
        env.source(source, { watermarks: boundedOutOfOrderness(10), timestamp: (line) => Number(line[0]) })
          .flatMap((line) => line.split(' ')).filter((word) => word !== '').map((word) => ({ word }))
          .keyBy(({ word }) => word).window(tumbling(1000)).aggregate(count(), { uid: 'count' })
          .map(({ key, count: n }) => `${key} ${n}`)
          .sink(collectSink<string>());
      },
      { parallelism: 2 },
    ),
    ['0-source x2: 0-source 1-flatMap 2-filter 3-map', 'count x2: count 5-map 6-sink', '0-source -hash-> count'],
  );
});

test('another parallelism, a rebalance and a second consumer end a chain', (t) => {
  t.deepEqual(
    summary((env) => {
      const lines = env.source(source, { parallelism: 2 }).map((x) => x, { parallelism: 2 });
      lines.sink(collectSink<string>(), { uid: 'a', parallelism: 2 });
      lines.map((x) => x, { parallelism: 3 }).rebalance().sink(collectSink<string>(), { uid: 'b', parallelism: 3 });
    }),
    ['0-source x2: 0-source 1-map', 'a x2: a', '3-map x3: 3-map', 'b x3: b', '1-map -forward-> a', '1-map -rebalance-> 3-map', '3-map -rebalance-> b'].map((line) => line.replace(/^1-map -/, '0-source -')),
  );
});

test('the hash depends on graph and parameters alone', (t) => {
  const define = (env: StreamEnvironment): void => void env.source(source).sink(collectSink<string>());
  const one = job('j', define);
  t.is(graphHash(buildGraph(one, { x: '1' }).graph), graphHash(buildGraph(one, { x: '1' }).graph));
  t.not(graphHash(buildGraph(one, { x: '1' }).graph), graphHash(buildGraph(one, { x: '2' }).graph));
  t.not(graphHash(buildGraph(one, {}).graph), graphHash(buildGraph(one, {}, { parallelism: 2 }).graph));
});

type Untyped = Record<string, (...args: unknown[]) => Untyped>;
const wrong: [string, (env: StreamEnvironment) => void, JobOptions, string][] = [
  ['no source', () => undefined, {}, 'the job has no source'],
  ['no sink', (env) => void env.source(source).map((x) => x), {}, 'the job has no sink'],
  ['a stream that ends nowhere', (env) => { env.source(source).sink(collectSink<string>()); env.source(source).map((x) => x); }, {}, 'nothing reads what this map emits'],
  ['parallelism 0', (env) => void env.source(source, { parallelism: 0 }).sink(collectSink<string>()), {}, 'parallelism is a whole number from 1, not 0'],
  ['parallelism above the key groups', (env) => void env.source(source, { parallelism: 9 }).sink(collectSink<string>()), { maxParallelism: 8 }, "parallelism 9 exceeds the job's maxParallelism of 8"],
  ['a uid twice', (env) => void env.source(source, { uid: 'x' }).sink(collectSink<string>(), { uid: 'x' }), {}, 'uid "x" is taken by the source at'],
  ['a uid that is no name', (env) => void env.source(source, { uid: 'a/b' }).sink(collectSink<string>()), {}, 'uid "a/b"'],
  ['a window without keys', (env) => void (env.source(source) as unknown as Untyped).window?.(tumbling(1)), {}, 'window() needs keys'],
  ['a window without event time', (env) => void env.source(source).keyBy((x) => x).window(tumbling(1)).aggregate(count()).map((x) => x.key).sink(collectSink<string>()), {}, 'an event-time window needs timestamps and watermarks'],
  ['a function that is none', (env) => void (env.source(source) as unknown as Untyped).map?.(3), {}, 'map takes a function, not number'],
  ['what user code throws', () => { throw new Error('fileSource: path is missing'); }, {}, 'fileSource: path is missing (no parameters were given'],
  ['an unknown placement', (env) => void env.source(source).sink(collectSink<string>()), { placement: 'nearest' as never }, 'placement "nearest" is not known'],
];
for (const [name, define, options, text] of wrong) {
  test(`refused with its place: ${name}`, (t) => {
    const error = t.throws(() => graphOf(define, options), { code: 'JOB_GRAPH' });
    t.true(error?.message.includes(text), error?.message);
    t.regex(error?.message ?? '', new RegExp(`${here}:\\d+:\\d+: `));
  });
}
