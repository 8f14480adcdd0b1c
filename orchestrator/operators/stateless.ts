/** map, flatMap and filter. A record keeps its timestamp through all of them. */
import type { OperatorSpec } from '../graph/job-graph.ts';
import type { Batch } from '../task/stream-element.ts';
import type { Operator } from './operator.ts';
import { userCodeError } from './operator.ts';

export function mapOperator(spec: OperatorSpec, fn: (value: unknown) => unknown): Operator {
  return {
    spec,
    process({ values, timestamps }): Batch {
      try {
        return { values: values.map((value) => fn(value)), timestamps };
      } catch (error) {
        throw userCodeError(spec, error);
      }
    },
  };
}

export function flatMapOperator(spec: OperatorSpec, fn: (value: unknown) => Iterable<unknown>): Operator {
  return {
    spec,
    process(batch): Batch | null {
      const values: unknown[] = [];
      const timestamps: number[] = [];
      try {
        for (let i = 0; i < batch.values.length; i++) {
          const timestampMs = batch.timestamps[i] as number;
          for (const value of fn(batch.values[i])) {
            values.push(value);
            timestamps.push(timestampMs);
          }
        }
      } catch (error) {
        throw userCodeError(spec, error);
      }
      return values.length === 0 ? null : { values, timestamps };
    },
  };
}

export function filterOperator(spec: OperatorSpec, fn: (value: unknown) => boolean): Operator {
  return {
    spec,
    process(batch): Batch | null {
      const values: unknown[] = [];
      const timestamps: number[] = [];
      try {
        for (let i = 0; i < batch.values.length; i++) {
          if (!fn(batch.values[i])) continue;
          values.push(batch.values[i]);
          timestamps.push(batch.timestamps[i] as number);
        }
      } catch (error) {
        throw userCodeError(spec, error);
      }
      return values.length === 0 ? null : { values, timestamps };
    },
  };
}
