// Optimizers that follow the gradient, with or without momentum: SGD, NAG, Signum. Formulas and defaults are MXNet 1.x's (src/operator/optimizer_op-inl.h).
import type { Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import { numberArg } from '../../ops/args.ts';
import { Optimizer, type OptimizerOptions, optimizerOptions, type StepNumbers } from './optimizer.ts';
import { clipped, ruleOnce, type UpdateRule, updateRule } from './rule.ts';

/** Options of `SGD` and `NAG`. */
export interface SGDOptions extends OptimizerOptions {
  /** 0 by default. */
  readonly momentum?: number | undefined;
  /** Accepted for Gluon's sake: there are no sparse gradients. */
  readonly lazyUpdate?: boolean | undefined;
}

const COMMON = ['lr', 'wd', 'rescale', 'clip'] as const;
const MOMENTUM = [...COMMON, 'mu'] as const;

/** clip(rescale·grad) + wd·weight: the gradient with its decay. */
function decayed(
  { grad, weight, rescale, clip, wd }: Readonly<Record<'grad' | 'weight' | 'rescale' | 'clip' | 'wd', Expr>>,
  clips: boolean,
): Expr {
  return e.add(clipped(e.mul(rescale, grad), clip, clips), e.mul(wd, weight));
}

function plainRule(clips: boolean): UpdateRule {
  return ruleOnce(`sgd ${clips}`, () =>
    updateRule('sgd', {
      states: [],
      scalars: COMMON,
      update: (v) => [['weight', e.sub(v.weight, e.mul(v.lr, decayed(v, clips)))]],
    }),
  );
}

/**
 * Stochastic gradient descent: w ← w − lr·(clip(g) + wd·w); with momentum m ← μ·m − lr·(clip(g) + wd·w), w ← w + m, so that the rate is inside the momentum. Learning rate 0.01.
 * @example new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.1, momentum: 0.9 });
 */
export class SGD extends Optimizer {
  readonly momentum: number;
  override readonly rule: UpdateRule;

  constructor(options?: SGDOptions) {
    const values = optimizerOptions('SGD', options, ['momentum', 'lazyUpdate']);
    super('SGD', values);
    this.momentum = numberArg('SGD', values, 'momentum', 0);
    const clips = this.clipGradient !== null;
    this.rule =
      this.momentum === 0
        ? plainRule(clips)
        : ruleOnce(`sgdMomentum ${clips}`, () =>
            updateRule('sgdMomentum', {
              states: ['momentum'],
              scalars: MOMENTUM,
              update: (v) => [
                ['momentum', e.sub(e.mul(v.mu, v.momentum), e.mul(v.lr, decayed(v, clips)))],
                ['weight', e.add(v.weight, v.momentum)],
              ],
            }),
          );
  }

  override scalarsOf(numbers: StepNumbers): Readonly<Record<string, number>> {
    return { ...numbers, mu: this.momentum };
  }
}

/**
 * Nesterov's accelerated gradient: m ← μ·m − lr·(clip(g) + wd·w), w ← w + μ·m − lr·(clip(g) + wd·w). Learning rate 0.01. Nesterov, 1983; Sutskever et al., 2013.
 */
export class NAG extends Optimizer {
  readonly momentum: number;
  override readonly rule: UpdateRule;

  constructor(options?: SGDOptions) {
    const values = optimizerOptions('NAG', options, ['momentum', 'lazyUpdate']);
    super('NAG', values);
    this.momentum = numberArg('NAG', values, 'momentum', 0);
    const clips = this.clipGradient !== null;
    this.rule =
      this.momentum === 0
        ? plainRule(clips)
        : ruleOnce(`nag ${clips}`, () =>
            updateRule('nag', {
              states: ['momentum'],
              scalars: MOMENTUM,
              update: (v) => {
                const down = e.mul(v.lr, decayed(v, clips));
                return [
                  ['momentum', e.sub(e.mul(v.mu, v.momentum), down)],
                  ['weight', e.sub(e.add(v.weight, e.mul(v.mu, v.momentum)), down)],
                ];
              },
            }),
          );
  }

  override scalarsOf(numbers: StepNumbers): Readonly<Record<string, number>> {
    return { ...numbers, mu: this.momentum };
  }
}

/** Options of `Signum`. */
export interface SignumOptions extends OptimizerOptions {
  /** 0.9 by default. */
  readonly momentum?: number | undefined;
  /** Decay apart from the gradient; 0 by default. */
  readonly wdLh?: number | undefined;
}

/**
 * Steps of one size, by sign: m ← μ·m − (1 − μ)·(clip(g) + wd·w), w ← (1 − lr·wdLh)·w + lr·sign(m). Without momentum, signSGD: w ← (1 − lr·wd)·w − lr·sign(g).
 * Learning rate 0.01. Bernstein et al., 2018.
 */
export class Signum extends Optimizer {
  readonly momentum: number;
  readonly wdLh: number;
  override readonly rule: UpdateRule;

  constructor(options?: SignumOptions) {
    const values = optimizerOptions('Signum', options, ['momentum', 'wdLh']);
    super('Signum', values);
    this.momentum = numberArg('Signum', values, 'momentum', 0.9);
    this.wdLh = numberArg('Signum', values, 'wdLh', 0);
    const clips = this.clipGradient !== null;
    this.rule =
      this.momentum === 0
        ? ruleOnce('signsgd', () =>
            updateRule('signsgd', {
              states: [],
              scalars: ['keep', 'lr', 'rescale'],
              update: (v) => [
                ['weight', e.sub(e.mul(v.keep, v.weight), e.mul(v.lr, e.sign(e.mul(v.rescale, v.grad))))],
              ],
            }),
          )
        : ruleOnce(`signum ${clips}`, () =>
            updateRule('signum', {
              states: ['momentum'],
              scalars: [...MOMENTUM, 'restOfMu', 'keep'],
              update: (v) => [
                ['momentum', e.sub(e.mul(v.mu, v.momentum), e.mul(v.restOfMu, decayed(v, clips)))],
                ['weight', e.add(e.mul(v.keep, v.weight), e.mul(v.lr, e.sign(v.momentum)))],
              ],
            }),
          );
  }

  override scalarsOf(numbers: StepNumbers): Readonly<Record<string, number>> {
    const decay = this.momentum === 0 ? numbers.wd : this.wdLh;
    return { ...numbers, mu: this.momentum, restOfMu: 1 - this.momentum, keep: 1 - numbers.lr * decay };
  }
}
