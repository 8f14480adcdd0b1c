export type { Boundedness, Json, ReaderContext, RecordBatch, Source, SourceReader, SourceSplit } from './source.ts';
export type { DeliveryGuarantee, Sink, SinkContext, SinkWriter } from './sink.ts';
