/** What `import … from 'drey'` gives: describing jobs, and the contracts of connectors. */
export { boundedOutOfOrderness, count, tumbling } from './functions.ts';
export type { Counted } from './functions.ts';
export { job } from './job.ts';
export type { JobDefinition, JobOptions, JobParams } from './job.ts';
export type { AggregateFunction, Key, TumblingWindows, WatermarkStrategy, Window, WindowAggregateFunction } from './operators.ts';
export type { DeliveryGuarantee, Sink, SinkContext, SinkWriter } from './sink.ts';
export type { Boundedness, Json, ReaderContext, RecordBatch, Source, SourceReader, SourceSplit } from './source.ts';
export type { DataStream, KeyedStream, OperatorOptions, SourceOptions, StreamEnvironment, WindowedStream } from './stream.ts';
export type { PlacementStrategy, RestartStrategy } from '../graph/job-graph.ts';
