// The namespace `metric`.
export { Accuracy, type AccuracyOptions, TopKAccuracy, type TopKAccuracyOptions } from './accuracy.ts';
export { type Arrays, EvalMetric, type MetricOptions } from './base.ts';
export { type BinaryMetricOptions, F1, MCC } from './binary.ts';
export { CompositeEvalMetric, create, type MetricLike, type MetricName } from './composite.ts';
export { CrossEntropy, type CrossEntropyOptions, Perplexity, type PerplexityOptions } from './likelihood.ts';
export { Loss, MAE, MSE, RMSE } from './regression.ts';
