// Optimizers that give each element its own rate: AdaGrad, RMSProp, AdaDelta, Ftrl. Formulas and defaults are MXNet 1.x's (python/mxnet/optimizer,
// src/operator/optimizer_op-inl.h).
import type { Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import { Optimizer, type OptimizerOptions, type StepNumbers } from './optimizer.ts';
import { type Common, type Names, type Updates, within } from './rule.ts';

type Clip = (x: Expr) => Expr;

const square = (x: Expr): Expr => e.mul(x, x);
/** decay·mean + rest·x, rest being 1 − decay. */
const blended = (decay: Expr, mean: Expr, rest: Expr, x: Expr): Expr =>
  e.add(e.mul(decay, mean), e.mul(rest, x));

/** Options of `AdaGrad`. */
export interface AdaGradOptions extends OptimizerOptions {
  /** Keeps the division finite; 1e-7. */
  readonly eps?: number | undefined;
}

/**
 * AdaGrad: g ← clip(g), h ← h + g², w ← w − lr·(g / √(h + eps) + wd·w). Learning rate 0.01. Duchi et al., 2011.
 */
export class AdaGrad extends Optimizer {
  declare readonly eps: number;
  /** @internal */
  override readonly states = ['history'];

  constructor(options?: AdaGradOptions) {
    super('AdaGrad', options, { eps: 1e-7 });
  }

  /** @internal */
  override updates(v: Names<Common | 'history' | 'eps'>, clipped: Clip): Updates {
    const g = clipped(e.mul(v.rescale, v.grad));
    const step = e.add(e.div(g, e.sqrt(e.add(v.history, v.eps))), e.mul(v.wd, v.weight));
    return [
      ['history', e.add(v.history, square(g))],
      ['weight', e.sub(v.weight, e.mul(v.lr, step))],
    ];
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

type RMSNames =
  | 'meanSquare'
  | 'mean'
  | 'delta'
  | 'gamma1'
  | 'restOfGamma1'
  | 'gamma2'
  | 'epsilon'
  | 'clipWeights';

/**
 * RMSProp: g ← clip(g + wd·w), n ← γ₁·n + (1 − γ₁)·g², w ← w − lr·g / √(n + ε) (Tieleman & Hinton, 2012); centered: also a ← γ₁·a + (1 − γ₁)·g,
 * δ ← γ₂·δ − lr·g / √(n − a² + ε), w ← w + δ (Graves, 2013, equations 38 to 45). Learning rate 0.001.
 */
export class RMSProp extends Optimizer {
  declare readonly gamma1: number;
  declare readonly gamma2: number;
  declare readonly epsilon: number;
  declare readonly centered: boolean;
  declare readonly clipWeights: number | null;

  constructor(options?: RMSPropOptions) {
    super('RMSProp', options, {
      learningRate: 0.001,
      gamma1: 0.9,
      gamma2: 0.9,
      epsilon: 1e-8,
      centered: false,
      clipWeights: null,
    });
  }

  /** @internal */
  override get states(): readonly string[] {
    return this.centered ? ['meanSquare', 'mean', 'delta'] : ['meanSquare'];
  }

  /** @internal */
  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    return { ...super.scalarsOf(n), restOfGamma1: 1 - this.gamma1 };
  }

  /** @internal */
  override updates(v: Names<Common | RMSNames>, clipped: Clip): Updates {
    const g = clipped(e.add(e.mul(v.rescale, v.grad), e.mul(v.wd, v.weight)));
    const step = (variance: Expr): Expr => e.div(e.mul(v.lr, g), e.sqrt(e.add(variance, v.epsilon)));
    const bounded = (x: Expr): Expr => (this.clipWeights === null ? x : within(x, v.clipWeights));
    const meanSquare = ['meanSquare', blended(v.gamma1, v.meanSquare, v.restOfGamma1, square(g))] as const;
    if (!this.centered) return [meanSquare, ['weight', bounded(e.sub(v.weight, step(v.meanSquare)))]];
    return [
      meanSquare,
      ['mean', blended(v.gamma1, v.mean, v.restOfGamma1, g)],
      ['delta', e.sub(e.mul(v.gamma2, v.delta), step(e.sub(v.meanSquare, square(v.mean))))],
      ['weight', bounded(e.add(v.weight, v.delta))],
    ];
  }
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
  declare readonly rho: number;
  declare readonly epsilon: number;
  /** @internal */
  override readonly states = ['meanGrad', 'meanDelta'];

  constructor(options?: AdaDeltaOptions) {
    super('AdaDelta', options, { rho: 0.9, epsilon: 1e-5 });
  }

  /** @internal */
  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    return { ...super.scalarsOf(n), restOfRho: 1 - this.rho };
  }

  /** @internal */
  override updates(
    v: Names<Common | 'meanGrad' | 'meanDelta' | 'rho' | 'restOfRho' | 'epsilon'>,
    clipped: Clip,
  ): Updates {
    const g = clipped(e.mul(v.rescale, v.grad));
    const root = (mean: Expr): Expr => e.sqrt(e.add(mean, v.epsilon));
    const delta = e.mul(e.div(root(v.meanDelta), root(v.meanGrad)), g);
    return [
      ['meanGrad', blended(v.rho, v.meanGrad, v.restOfRho, square(g))],
      // δ reads the old mean of δ², so the weight goes first
      ['weight', e.sub(v.weight, e.add(delta, e.mul(v.wd, v.weight)))],
      ['meanDelta', blended(v.rho, v.meanDelta, v.restOfRho, square(delta))],
    ];
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
  declare readonly lamda1: number;
  declare readonly beta: number;
  /** @internal */
  override readonly states = ['z', 'n'];

  constructor(options?: FtrlOptions) {
    super('Ftrl', options, { learningRate: 0.1, lamda1: 0.01, beta: 1 });
  }

  /** @internal */
  override updates(v: Names<Common | 'z' | 'n' | 'lamda1' | 'beta'>, clipped: Clip): Updates {
    const g = clipped(e.mul(v.rescale, v.grad));
    const grown = e.sub(e.sqrt(e.add(v.n, square(g))), e.sqrt(v.n));
    const rate = e.add(e.div(e.add(v.beta, e.sqrt(v.n)), v.lr), v.wd);
    const reached = e.div(e.sub(e.mul(e.sign(v.z), v.lamda1), v.z), rate);
    return [
      ['z', e.add(v.z, e.sub(g, e.div(e.mul(grown, v.weight), v.lr)))],
      ['n', e.add(v.n, square(g))],
      ['weight', e.select(e.gt(e.abs(v.z), v.lamda1), reached, 0)],
    ];
  }
}
