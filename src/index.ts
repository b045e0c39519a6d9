// The public surface, nothing else.
export { NDArray } from './array/ndarray.ts';
export * as autograd from './autograd/index.ts';
export type { GradReq } from './autograd/mode.ts';
export { Context, cpu, currentContext, gpu } from './core/context.ts';
export type { DType, TypedArray } from './core/dtype.ts';
export {
  ArgumentError,
  AutogradError,
  ContextError,
  DeferredInitializationError,
  DeviceLostError,
  DTypeError,
  FormatError,
  GluonError,
  GpuUnavailableError,
  LoadError,
  NotInitializedError,
  OutOfMemoryError,
  ShapeError,
} from './core/errors.ts';
export type { Shape } from './core/shape.ts';
export type { MemoryInfo } from './device/device.ts';
export { numGpus, openGpu, tryGpu } from './device/registry.ts';
export { setNumThreads } from './device/threads.ts';
export type { Source } from './formats/source.ts';
export * as gluon from './gluon/index.ts';
export * as init from './gluon/init.ts';
export * as lrScheduler from './gluon/lrScheduler.ts';
export * as metric from './gluon/metric/index.ts';
export * as nn from './gluon/nn/index.ts';
export * as optimizer from './gluon/optimizer/index.ts';
export { Parameter } from './gluon/parameter.ts';
export { ParameterDict } from './gluon/parameterDict.ts';
export { type DebugOptions, debug } from './nd/debug.ts';
export * as image from './nd/image/index.ts';
export * as nd from './nd/index.ts';
export { memoryInfo } from './nd/memory.ts';
export { type KernelProfile, type Profile, profile } from './nd/profile.ts';
export * as random from './nd/random.ts';
export type { Nested } from './nd/reading.ts';
export { withContext } from './nd/scoped.ts';
export * as viz from './viz/index.ts';
