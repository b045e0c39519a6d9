// The namespace `gluon`: blocks, parameters and what belongs to them.
export { Block } from './block.ts';
export { HybridBlock } from './compiled/blocks.ts';
export {
  type CompiledStep,
  type CompileStepOptions,
  compileStep,
  type StepEntry,
  type StepInfo,
  type StepInput,
} from './compiled/compileStep.ts';
export type { WarmupOptions, WarmupShape } from './compiled/warmup.ts';
export * as data from './data/index.ts';
export type { HybridizeOptions } from './hybridize.ts';
export * as loss from './loss/index.ts';
export * as nn from './nn/index.ts';
export { Parameter } from './parameter.ts';
export { ParameterDict } from './parameterDict.ts';
export type { CacheEntry, CacheInfo } from './state.ts';
export { type OptimizerArguments, type StepOptions, Trainer } from './trainer.ts';
export * as utils from './utils.ts';
