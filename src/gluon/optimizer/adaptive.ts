// Optimizers that give each element its own rate: AdaGrad, RMSProp, AdaDelta, Ftrl. Formulas and defaults are MXNet 1.x's (python/mxnet/optimizer,
// src/operator/optimizer_op-inl.h).
import { e } from '../../ir/expr.ts';
import { booleanArg, numberArg } from '../../ops/args.ts';
import {
  boundArg,
  Optimizer,
  type OptimizerOptions,
  optimizerOptions,
  type StepNumbers,
} from './optimizer.ts';
import { clipped, ruleOnce, type UpdateRule, updateRule } from './rule.ts';

const COMMON = ['lr', 'wd', 'rescale', 'clip'] as const;

/** Options of `AdaGrad`. */
export interface AdaGradOptions extends OptimizerOptions {
  /** Keeps the division finite; 1e-7. */
  readonly eps?: number | undefined;
}

/**
 * AdaGrad: g ← clip(g), h ← h + g², w ← w − lr·(g / √(h + eps) + wd·w). Learning rate 0.01. Duchi et al., 2011.
 */
export class AdaGrad extends Optimizer {
  readonly eps: number;
  override readonly rule: UpdateRule;

  constructor(options?: AdaGradOptions) {
    const values = optimizerOptions('AdaGrad', options, ['eps']);
    super('AdaGrad', values);
    this.eps = numberArg('AdaGrad', values, 'eps', 1e-7);
    const clips = this.clipGradient !== null;
    this.rule = ruleOnce(`adagrad ${clips}`, () =>
      updateRule('adagrad', {
        states: ['history'],
        scalars: [...COMMON, 'eps'],
        update: (v) => {
          const g = clipped(e.mul(v.rescale, v.grad), v.clip, clips);
          return [
            ['history', e.add(v.history, e.mul(g, g))],
            [
              'weight',
              e.sub(
                v.weight,
                e.mul(v.lr, e.add(e.div(g, e.sqrt(e.add(v.history, v.eps))), e.mul(v.wd, v.weight))),
              ),
            ],
          ];
        },
      }),
    );
  }

  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    return { ...n, eps: this.eps };
  }
}

/** Options of `RMSProp`. */
export interface RMSPropOptions extends OptimizerOptions {
  /** The decay of the mean square; 0.9. */
  readonly gamma1?: number | undefined;
  /** The momentum, where centered; 0.9. */
  readonly gamma2?: number | undefined;
  /** 1e-8. */
  readonly epsilon?: number | undefined;
  /** Graves's form, with the variance in place of the mean square, and momentum. */
  readonly centered?: boolean | undefined;
  /** Keeps each weight within [−clipWeights, clipWeights]. */
  readonly clipWeights?: number | null | undefined;
}

/**
 * RMSProp: g ← clip(g + wd·w), n ← γ₁·n + (1 − γ₁)·g², w ← w − lr·g / √(n + ε) (Tieleman & Hinton, 2012); centered: also a ← γ₁·a + (1 − γ₁)·g,
 * δ ← γ₂·δ − lr·g / √(n − a² + ε), w ← w + δ (Graves, 2013, equations 38 to 45). Learning rate 0.001.
 */
export class RMSProp extends Optimizer {
  readonly gamma1: number;
  readonly gamma2: number;
  readonly epsilon: number;
  readonly centered: boolean;
  readonly clipWeights: number | null;
  override readonly rule: UpdateRule;

  constructor(options?: RMSPropOptions) {
    const own = ['gamma1', 'gamma2', 'epsilon', 'centered', 'clipWeights'];
    const values = optimizerOptions('RMSProp', options, own);
    super('RMSProp', values, 0.001);
    this.gamma1 = numberArg('RMSProp', values, 'gamma1', 0.9);
    this.gamma2 = numberArg('RMSProp', values, 'gamma2', 0.9);
    this.epsilon = numberArg('RMSProp', values, 'epsilon', 1e-8);
    this.centered = booleanArg('RMSProp', values, 'centered', false);
    this.clipWeights = boundArg('RMSProp', values, 'clipWeights');
    const [clips, bounds] = [this.clipGradient !== null, this.clipWeights !== null];
    this.rule = this.centered
      ? ruleOnce(`rmspropCentered ${clips} ${bounds}`, () => centeredRule(clips, bounds))
      : ruleOnce(`rmsprop ${clips} ${bounds}`, () => plainRule(clips, bounds));
  }

  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    const { gamma1, gamma2, epsilon } = this;
    return { ...n, gamma1, restOfGamma1: 1 - gamma1, gamma2, epsilon, bound: this.clipWeights ?? 0 };
  }
}

const RMS = [...COMMON, 'gamma1', 'restOfGamma1', 'gamma2', 'epsilon', 'bound'] as const;

function plainRule(clips: boolean, bounds: boolean): UpdateRule {
  return updateRule('rmsprop', {
    states: ['meanSquare'],
    scalars: RMS,
    update: (v) => {
      const g = clipped(e.add(e.mul(v.rescale, v.grad), e.mul(v.wd, v.weight)), v.clip, clips);
      const next = e.sub(v.weight, e.div(e.mul(v.lr, g), e.sqrt(e.add(v.meanSquare, v.epsilon))));
      return [
        ['meanSquare', e.add(e.mul(v.gamma1, v.meanSquare), e.mul(v.restOfGamma1, e.mul(g, g)))],
        ['weight', clipped(next, v.bound, bounds)],
      ];
    },
  });
}

function centeredRule(clips: boolean, bounds: boolean): UpdateRule {
  return updateRule('rmspropCentered', {
    states: ['meanSquare', 'mean', 'delta'],
    scalars: RMS,
    update: (v) => {
      const g = clipped(e.add(e.mul(v.rescale, v.grad), e.mul(v.wd, v.weight)), v.clip, clips);
      const variance = e.sub(v.meanSquare, e.mul(v.mean, v.mean));
      return [
        ['meanSquare', e.add(e.mul(v.gamma1, v.meanSquare), e.mul(v.restOfGamma1, e.mul(g, g)))],
        ['mean', e.add(e.mul(v.gamma1, v.mean), e.mul(v.restOfGamma1, g))],
        ['delta', e.sub(e.mul(v.gamma2, v.delta), e.div(e.mul(v.lr, g), e.sqrt(e.add(variance, v.epsilon))))],
        ['weight', clipped(e.add(v.weight, v.delta), v.bound, bounds)],
      ];
    },
  });
}

/** Options of `AdaDelta`. */
export interface AdaDeltaOptions extends OptimizerOptions {
  /** The decay of both means; 0.9. */
  readonly rho?: number | undefined;
  /** 1e-5. */
  readonly epsilon?: number | undefined;
}

/**
 * AdaDelta, which needs no learning rate and ignores one: a ← ρ·a + (1 − ρ)·g², δ = √(d + ε)/√(a + ε)·g, d ← ρ·d + (1 − ρ)·δ², w ← w − (δ + wd·w). Zeiler, 2012.
 */
export class AdaDelta extends Optimizer {
  readonly rho: number;
  readonly epsilon: number;
  override readonly rule: UpdateRule;

  constructor(options?: AdaDeltaOptions) {
    const values = optimizerOptions('AdaDelta', options, ['rho', 'epsilon']);
    super('AdaDelta', values);
    this.rho = numberArg('AdaDelta', values, 'rho', 0.9);
    this.epsilon = numberArg('AdaDelta', values, 'epsilon', 1e-5);
    const clips = this.clipGradient !== null;
    this.rule = ruleOnce(`adadelta ${clips}`, () =>
      updateRule('adadelta', {
        states: ['meanGrad', 'meanDelta'],
        scalars: [...COMMON, 'rho', 'restOfRho', 'epsilon'],
        update: (v) => {
          const g = clipped(e.mul(v.rescale, v.grad), v.clip, clips);
          const delta = e.mul(
            e.div(e.sqrt(e.add(v.meanDelta, v.epsilon)), e.sqrt(e.add(v.meanGrad, v.epsilon))),
            g,
          );
          return [
            ['meanGrad', e.add(e.mul(v.rho, v.meanGrad), e.mul(v.restOfRho, e.mul(g, g)))],
            // δ reads the old mean of δ², so the weight goes first
            ['weight', e.sub(v.weight, e.add(delta, e.mul(v.wd, v.weight)))],
            ['meanDelta', e.add(e.mul(v.rho, v.meanDelta), e.mul(v.restOfRho, e.mul(delta, delta)))],
          ];
        },
      }),
    );
  }

  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    return { ...n, rho: this.rho, restOfRho: 1 - this.rho, epsilon: this.epsilon };
  }
}

/** Options of `Ftrl`. */
export interface FtrlOptions extends OptimizerOptions {
  /** L1 regularisation; 0.01. */
  readonly lamda1?: number | undefined;
  /** 1. */
  readonly beta?: number | undefined;
}

/**
 * Follow the regularised leader: z ← z + g − (√(n + g²) − √n)·w/lr, n ← n + g², w ← (sign(z)·λ₁ − z) / ((β + √n)/lr + wd) where |z| > λ₁, else 0. Learning rate 0.1.
 * McMahan et al., 2013.
 */
export class Ftrl extends Optimizer {
  readonly lamda1: number;
  readonly beta: number;
  override readonly rule: UpdateRule;

  constructor(options?: FtrlOptions) {
    const values = optimizerOptions('Ftrl', options, ['lamda1', 'beta']);
    super('Ftrl', values, 0.1);
    this.lamda1 = numberArg('Ftrl', values, 'lamda1', 0.01);
    this.beta = numberArg('Ftrl', values, 'beta', 1);
    const clips = this.clipGradient !== null;
    this.rule = ruleOnce(`ftrl ${clips}`, () =>
      updateRule('ftrl', {
        states: ['z', 'n'],
        scalars: [...COMMON, 'lamda1', 'beta'],
        update: (v) => {
          const g = clipped(e.mul(v.rescale, v.grad), v.clip, clips);
          const grown = e.sub(e.sqrt(e.add(v.n, e.mul(g, g))), e.sqrt(v.n));
          const rate = e.add(e.div(e.add(v.beta, e.sqrt(v.n)), v.lr), v.wd);
          return [
            ['z', e.add(v.z, e.sub(g, e.div(e.mul(grown, v.weight), v.lr)))],
            ['n', e.add(v.n, e.mul(g, g))],
            [
              'weight',
              e.select(e.gt(e.abs(v.z), v.lamda1), e.div(e.sub(e.mul(e.sign(v.z), v.lamda1), v.z), rate), 0),
            ],
          ];
        },
      }),
    );
  }

  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    return { ...n, lamda1: this.lamda1, beta: this.beta };
  }
}
