// The namespace `optimizer`.
export {
  Adam,
  Adamax,
  type AdamaxOptions,
  type AdamOptions,
  AdamW,
  type AdamWOptions,
  LAMB,
  type LAMBOptions,
  Nadam,
  type NadamOptions,
} from './adam.ts';
export {
  AdaDelta,
  type AdaDeltaOptions,
  AdaGrad,
  type AdaGradOptions,
  Ftrl,
  type FtrlOptions,
  RMSProp,
  type RMSPropOptions,
} from './adaptive.ts';
export { create, type OptimizerName, type OptionsOf } from './create.ts';
export { NAG, SGD, type SGDOptions, Signum, type SignumOptions } from './momentum.ts';
export { Optimizer, type OptimizerOptions } from './optimizer.ts';
