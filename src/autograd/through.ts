// The gradients of what operations compute, as operations: how a compiled net's backward is recorded.
import type { NDArray } from '../array/ndarray.ts';
import type { Op } from '../ops/op.ts';
import { run } from './backward.ts';
import { isTraining, setRecording } from './mode.ts';
import { nodeFor, type Place, placeOf, put, sameArray } from './tape.ts';
import { Only } from './targets.ts';

const aliasOp: Op<object> = {
  name: 'alias',
  family: 'autograd',
  infer: (x) => x,
  run: null,
  grad: (c) => [c.dy()],
};

/** A second handle on an array, at a place of the tape of its own that comes from the first's: where a gradient can stop. */
function fork(array: NDArray): { readonly array: NDArray; readonly place: Place } {
  const copy = sameArray(array, 'through');
  const node = nodeFor(aliasOp, {}, [array], [placeOf(array)], [copy]);
  const place: Place = { node, index: 0, variable: null };
  put(copy, place);
  return { array: copy, place };
}

/**
 * The gradients by `inputs` of what `fn` computes from them, weighted by `above`, null where a result does not depend on an input: `fn` is recorded over handles of its own,
 * and run back to them.
 */
export function through(
  inputs: readonly NDArray[],
  fn: (inputs: readonly NDArray[]) => readonly NDArray[],
  above: readonly (NDArray | null)[],
): readonly (NDArray | null)[] {
  const again = setRecording(true);
  try {
    const forks = inputs.map(fork);
    const results = fn(forks.map((x) => x.array));
    const heads: NDArray[] = [];
    const weights: NDArray[] = [];
    results.forEach((y, i) => {
      const weight = above[i];
      if (weight == null || placeOf(y) === null) return;
      heads.push(y);
      weights.push(weight);
    });
    const only = forks.map((x) => x.place);
    const targets = new Only(
      only,
      only.flatMap((p) => p.node ?? []),
    );
    run(heads, weights, { retainGraph: false, createGraph: again, trainMode: isTraining() }, targets);
    return only.map((p) => targets.found.get(p) ?? null);
  } finally {
    setRecording(again);
  }
}
