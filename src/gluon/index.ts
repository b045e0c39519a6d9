// The namespace `gluon`: blocks, parameters and what belongs to them.
export { Block, HybridBlock } from './block.ts';
export {
  type CompiledStep,
  type CompileStepOptions,
  compileStep,
  type StepEntry,
  type StepInfo,
  type StepInput,
} from './compileStep.ts';
export * as data from './data/index.ts';
export type { CacheEntry, CacheInfo, HybridizeOptions } from './hybrid.ts';
export * as loss from './loss/index.ts';
export * as nn from './nn/index.ts';
export { Parameter } from './parameter.ts';
export { ParameterDict } from './parameterDict.ts';
export { type OptimizerArguments, type StepOptions, Trainer } from './trainer.ts';
export * as utils from './utils.ts';
export type { WarmupOptions, WarmupShape } from './warmup.ts';
