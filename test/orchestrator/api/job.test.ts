/** The typed API: what the compiler infers (this file does not compile when it infers otherwise), and what the graph makes of it. */
import test from 'ava';
import { collectionSource, collectSink } from '../../../connectors/index.ts';
import { placesOf } from '../../../orchestrator/api/call-site.ts';
import { boundedOutOfOrderness, count, job, tumbling } from '../../../orchestrator/api/index.ts';
import type { DataStream, Sink } from '../../../orchestrator/api/index.ts';
import { buildGraph } from '../../../orchestrator/graph/build-graph.ts';

interface Click {
  readonly user: string;
  readonly atMs: number;
}
const clicks: readonly Click[] = [{ user: 'u', atMs: 1 }];

test('types flow from the source to the sink', (t) => {
  const definition = job('typed', (env, params) => {
    const source = env.source(collectionSource(clicks), { timestamp: (click) => click.atMs, watermarks: boundedOutOfOrderness(Number(params.lateMs ?? 0)) });
    const keyed = source.flatMap((click) => [click, click]).filter((click) => click.atMs > 0).keyBy((click) => click.user.length);
    const windowed: DataStream<{ length: number; n: number; end: number }> = keyed
      .window(tumbling(1000))
      .aggregate({ create: () => ({ n: 0 }), add: (acc, click) => ({ n: acc.n + click.atMs }), result: ({ n }, length, window) => ({ length, n, end: window.end }) });
    windowed.sink(collectSink());
    const counted: DataStream<number> = keyed.aggregate(count()).map(({ key, count: n }) => key + n);
    counted.sink(collectSink());
    // @ts-expect-error a number is no Click
    const wrongSink: Sink<number> = collectSink<string>();
    t.truthy(wrongSink);
    // @ts-expect-error there is no such field
    source.map((click) => click.name);
    source.map((click) => click.user).sink(collectSink());
  });
  t.throws(() => buildGraph(definition, {}), { message: /job\.test\.ts:\d+:\d+: nothing reads what this map emits/ });
});

test('count() is an aggregate with and without windows', (t) => {
  const { create, add, result } = count<string>();
  t.deepEqual(result(add(add(create())), 'k'), { key: 'k', count: 2 });
  t.deepEqual(result(add(create()), 'k', { start: 0, end: 10 }), { key: 'k', count: 1, windowStart: 0, windowEnd: 10 });
});

test('wrong arguments are refused where they are given', (t) => {
  t.throws(() => tumbling(0), { code: 'JOB_GRAPH', message: /job\.test\.ts:\d+:\d+: tumbling/ });
  t.throws(() => boundedOutOfOrderness(-1), { code: 'JOB_GRAPH' });
  t.throws(() => job('', () => undefined), { code: 'JOB_GRAPH' });
});

test('an async function is refused where it is given: its promise would be taken for the record', (t) => {
  const refused = (describe: (stream: DataStream<Click>) => unknown): void => {
    t.throws(() => buildGraph(job('async', (env) => void describe(env.source(collectionSource(clicks)))), {}), { code: 'JOB_GRAPH', message: /job\.test\.ts:\d+:\d+: .* async/ });
  };
  refused((stream) => stream.map(async (click) => click));
  refused((stream) => stream.flatMap(async function* (click: Click) { yield click; } as never));
  refused((stream) => stream.filter((async () => false) as never));
  refused((stream) => stream.keyBy((async () => 'k') as never));
  refused((stream) => stream.keyBy((click) => click.user).aggregate({ create: () => 0, add: (async () => 1) as never, result: (n: number) => n }));
});

test('the API knows its own frames, also where source maps name what it was built from', (t) => {
  const places = placesOf('file:///home/a%20b/node_modules/drey/dist/orchestrator/api/call-site.js');
  const isOwn = (place: string): boolean => places.some((prefix) => place.startsWith(prefix));
  for (const root of ['file:///home/a%20b/node_modules/drey', '/home/a b/node_modules/drey']) {
    for (const place of ['/dist/orchestrator/api/job.js:1:1', '/orchestrator/api/call-site.ts:9:28', '/orchestrator/graph/build-graph.ts:1:1', '/connectors/file/sink.ts:3:1']) t.true(isOwn(`${root}${place}`), `${root}${place}`);
    t.false(isOwn(`${root}/../mine/job.ts:1:1`));
  }
  t.true(placesOf('file:///dist/drey/orchestrator/api/call-site.ts').every((prefix) => prefix.includes('/dist/drey/')), 'a checkout below a folder of that name');
});
