// Chance for transforms: from which stream a sample draws. In a data loader each sample has a stream of its own, from the one seed and its place in the epoch, so that
// results depend neither on timing nor on how a batch was made; elsewhere the generators of cpu(0) draw. The streams themselves are in stream.ts: transforms bring them along.
import type { NDArray } from '../../array/ndarray.ts';
import type { TypedArray } from '../../core/dtype.ts';
import { readNow } from '../../nd/reading.ts';
import { unrecorded } from '../quiet.ts';

/** A stream of random numbers. */
export interface Chance {
  /** The next number in [0, 1). */
  uniform(): number;
}

/** A sample's place in an epoch. */
export interface Place {
  /** What all samples of the epoch share: the seed, once somebody draws. */
  readonly epoch: { seed: number | undefined };
  readonly index: number;
  /** The sample's stream, once it draws. */
  stream: Chance | undefined;
}

/** The values of an array that is drawn on cpu(0), on no tape. */
export function drawn(draw: () => NDArray): TypedArray {
  return unrecorded(() => {
    const array = draw();
    const values = readNow(array, 'random') as TypedArray;
    array.dispose();
    return values;
  });
}

let current: Place | undefined;

/** Where the sample that is being made stands; undefined outside of data loaders. */
export function currentPlace(): Place | undefined {
  return current;
}

/** Says whose sample `fn` makes, which is synchronous. */
export function withPlace<R>(place: Place, fn: () => R): R {
  const before = current;
  current = place;
  try {
    return fn();
  } finally {
    current = before;
  }
}
