// The namespace `nd`: arrays and every operation on them.
import './methods.ts';

export { keep } from '../array/ndarray.ts';
export { activation } from '../ops/activate.ts';
export * from '../ops/activation.ts';
export * from '../ops/binary.ts';
export { depthToSpace, pad, spaceToDepth } from '../ops/blocks.ts';
export { clip, where } from '../ops/conditions.ts';
export { convolution, deconvolution } from '../ops/convolution.ts';
export {
  arange,
  empty,
  eye,
  full,
  fullLike,
  linspace,
  ones,
  onesLike,
  zeros,
  zerosLike,
} from '../ops/creation.ts';
export { softmaxCrossEntropy } from '../ops/crossEntropy.ts';
export {
  batchTake,
  embedding,
  gatherNd,
  oneHot,
  pick,
  scatterNd,
  take,
  takeAlongAxis,
} from '../ops/indexing.ts';
export { concat, split, stack } from '../ops/joins.ts';
export {
  astype,
  broadcastAxis,
  broadcastLike,
  broadcastTo,
  cast,
  copy,
  swapaxes,
  transpose,
} from '../ops/moves.ts';
export * from '../ops/normalize.ts';
export { argsort, cumsum, sort, topk } from '../ops/ordering.ts';
export { pooling } from '../ops/pooling.ts';
export { batchDot, dot, fullyConnected, linalgGemm2, matmul } from '../ops/product.ts';
export * from '../ops/reduce.ts';
export { repeat, tile } from '../ops/repeats.ts';
export { flip, reverse, slice, sliceAxis, sliceLike } from '../ops/slices.ts';
export * from '../ops/unary.ts';
export { blockGrad, detach, expandDims, flatten, reshape, reshapeLike, squeeze } from '../ops/views.ts';
export { dropout } from './dropout.ts';
export { load, save } from './files.ts';
export { array } from './make.ts';
export * as random from './random.ts';
export {
  normal as randomNormal,
  randint as randomRandint,
  randn as randomRandn,
  shuffle as randomShuffle,
  uniform as randomUniform,
} from './random.ts';
export { scope, waitall } from './scoped.ts';
export { asInContext, copyto, toCpu } from './transfer.ts';
