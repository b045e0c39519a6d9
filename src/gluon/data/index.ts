// The namespace `gluon.data`: datasets, samplers, DataLoader; pictures in `gluon.data.vision`.

export { type ArrayColumn, ArrayDataset } from './arrayDataset.ts';
export { type BatchOf, DataLoader, type DataLoaderOptions } from './dataLoader.ts';
export {
  Dataset,
  type IndexSequence,
  type SampleArgs,
  SimpleDataset,
  type TransformOptions,
} from './dataset.ts';
export type { BatchProgress } from './prepare.ts';
export {
  BatchSampler,
  FilterSampler,
  IntervalSampler,
  type LastBatch,
  RandomSampler,
  Sampler,
  SequentialSampler,
} from './sampler.ts';
export * as vision from './vision/index.ts';
