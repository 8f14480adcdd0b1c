/**
 * Positions of splits that are read by offset (bytes of a file, records of a Kafka partition) as they stand in checkpoints: the next offset,
 * and for a bounded split also the offset where it ends, so that a restored job ends where the first attempt would have ended.
 */
import { DreyError } from '../coord/base/errors.ts';
import type { Json } from '../orchestrator/api/source.ts';

export interface OffsetRange {
  readonly offset: number;
  readonly end: number | undefined;
}

export function toPosition(offset: number, end: number | undefined): Json {
  return end === undefined ? offset : { offset, end };
}

/** Throws DreyError CONNECTOR_BAD_POSITION for anything that toPosition cannot have made. */
export function fromPosition(position: Json, splitId: string): OffsetRange {
  if (isOffset(position)) return { offset: position, end: undefined };
  if (typeof position === 'object' && position !== null && !Array.isArray(position)) {
    const { offset, end } = position;
    if (isOffset(offset) && isOffset(end)) return { offset, end };
  }
  throw new DreyError('CONNECTOR_BAD_POSITION', `split ${splitId}: ${JSON.stringify(position)} is not a position of this source`);
}

function isOffset(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
