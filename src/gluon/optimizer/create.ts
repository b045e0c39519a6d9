// Optimizers by Gluon's names, each with the type of its own options.
import { unknownName } from '../../ops/args.ts';
import {
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
import {
  AdaDelta,
  type AdaDeltaOptions,
  AdaGrad,
  type AdaGradOptions,
  Ftrl,
  type FtrlOptions,
  RMSProp,
  type RMSPropOptions,
} from './adaptive.ts';
import { NAG, SGD, type SGDOptions, Signum, type SignumOptions } from './momentum.ts';
import type { Optimizer } from './optimizer.ts';

interface Options {
  readonly sgd: SGDOptions;
  readonly nag: SGDOptions;
  readonly signum: SignumOptions;
  readonly adam: AdamOptions;
  readonly adamw: AdamWOptions;
  readonly adamax: AdamaxOptions;
  readonly nadam: NadamOptions;
  readonly lamb: LAMBOptions;
  readonly adagrad: AdaGradOptions;
  readonly rmsprop: RMSPropOptions;
  readonly adadelta: AdaDeltaOptions;
  readonly ftrl: FtrlOptions;
}

/** The name of an optimizer. */
export type OptimizerName = keyof Options;

/** The options of the optimizer of that name. */
export type OptionsOf<N extends OptimizerName> = Options[N];

const MAKERS: { readonly [N in OptimizerName]: new (options?: Options[N]) => Optimizer } = {
  sgd: SGD,
  nag: NAG,
  signum: Signum,
  adam: Adam,
  adamw: AdamW,
  adamax: Adamax,
  nadam: Nadam,
  lamb: LAMB,
  adagrad: AdaGrad,
  rmsprop: RMSProp,
  adadelta: AdaDelta,
  ftrl: Ftrl,
};

/** An optimizer by name; capitals do not matter. @example optimizer.create('adam', { learningRate: 0.002 }) */
export function create<N extends OptimizerName>(name: N, options?: OptionsOf<N>): Optimizer {
  const key = typeof name === 'string' ? name.toLowerCase() : '';
  if (!Object.hasOwn(MAKERS, key))
    throw unknownName('optimizer.create', 'an optimizer, one of', name, Object.keys(MAKERS));
  return new MAKERS[key as N](options);
}
