// Adam and its kin: Adam, AdamW, Adamax, Nadam, LAMB. Corrections for t are computed on the host in double precision and go in as scalars. Formulas and defaults are
// MXNet's (python/mxnet/optimizer, src/operator/optimizer_op-inl.h); AdamW's those of GluonNLP.
import type { Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import { Optimizer, type OptimizerOptions, type StepNumbers } from './optimizer.ts';
import type { Common, Names, RuleParts, Updates } from './rule.ts';

/** Options of `Adam` and `Nadam`. */
export interface AdamOptions extends OptimizerOptions {
  /** The decay of the first moment; 0.9. */
  readonly beta1?: number | undefined;
  /** The decay of the second moment; 0.999. */
  readonly beta2?: number | undefined;
  /** Keeps the division finite; 1e-8. */
  readonly epsilon?: number | undefined;
  /** Accepted for Gluon's sake: there are no sparse gradients. */
  readonly lazyUpdate?: boolean | undefined;
}

type Clip = (x: Expr) => Expr;
type Leaves = Names<
  | Common
  | 'mean'
  | 'variance'
  | 'beta1'
  | 'beta2'
  | 'restOfBeta1'
  | 'restOfBeta2'
  | 'epsilon'
  | 'ofMean'
  | 'ofVariance'
>;

/** clip(rescale·grad + wd·weight). */
const decayedFirst = (v: Leaves, clipped: Clip): Expr =>
  clipped(e.add(e.mul(v.rescale, v.grad), e.mul(v.wd, v.weight)));
/** clip(rescale·grad). */
const alone = (v: Leaves, clipped: Clip): Expr => clipped(e.mul(v.rescale, v.grad));
/** The mean of the gradients. */
const nextMean = (v: Leaves, g: Expr): Updates[number] => [
  'mean',
  e.add(e.mul(v.beta1, v.mean), e.mul(v.restOfBeta1, g)),
];
/** The means of the gradients and of their squares. */
const moments = (v: Leaves, g: Expr): Updates => [
  nextMean(v, g),
  ['variance', e.add(e.mul(v.beta2, v.variance), e.mul(v.restOfBeta2, e.mul(g, g)))],
];
/** x / (√variance + ε). */
const scaled = (v: Leaves, x: Expr, variance: Expr): Expr => e.div(x, e.add(e.sqrt(variance), v.epsilon));

abstract class WithBetas extends Optimizer {
  declare readonly beta1: number;
  declare readonly beta2: number;
  /** @internal */
  override readonly states = ['mean', 'variance'];

  constructor(op: string, options: unknown, own: Readonly<Record<string, number | boolean | null>>) {
    super(op, options, { learningRate: 0.001, beta1: 0.9, beta2: 0.999, ...own });
  }

  /** @internal */
  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    return { ...super.scalarsOf(n), restOfBeta1: 1 - this.beta1, restOfBeta2: 1 - this.beta2 };
  }

  /** √(1 − β₂ᵗ) / (1 − β₁ᵗ). */
  protected correction(t: number): number {
    return Math.sqrt(1 - this.beta2 ** t) / (1 - this.beta1 ** t);
  }
}

/**
 * Adam: g ← clip(g + wd·w), moments m and v of g and g², w ← w − lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ)·m / (√v + ε). Learning rate 0.001. Kingma & Ba, 2014.
 * @example new gluon.Trainer(net.collectParams(), 'adam', { learningRate: 0.001 });
 */
export class Adam extends WithBetas {
  declare readonly epsilon: number;

  constructor(options?: AdamOptions) {
    super('Adam', options, { epsilon: 1e-8, lazyUpdate: true });
  }

  /** @internal */
  override updates(v: Leaves, clipped: Clip): Updates {
    return [
      ...moments(v, decayedFirst(v, clipped)),
      ['weight', e.sub(v.weight, scaled(v, e.mul(v.lr, v.mean), v.variance))],
    ];
  }

  /** @internal */
  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    return { ...super.scalarsOf(n), lr: n.lr * this.correction(n.t) };
  }
}

/** Options of `AdamW`. */
export interface AdamWOptions extends OptimizerOptions {
  readonly beta1?: number | undefined;
  readonly beta2?: number | undefined;
  /** 1e-6. */
  readonly epsilon?: number | undefined;
  /** Corrects the moments for their beginning at zero; true by default. False gives GluonNLP's BERTAdam. */
  readonly correctBias?: boolean | undefined;
}

/**
 * Adam with decay apart from the gradient: w ← w − lr'·(m / (√v + ε) + wd·w), lr' being corrected as in Adam. Learning rate 0.001. Loshchilov & Hutter, 2017.
 */
export class AdamW extends WithBetas {
  declare readonly epsilon: number;
  declare readonly correctBias: boolean;

  constructor(options?: AdamWOptions) {
    super('AdamW', options, { epsilon: 1e-6, correctBias: true });
  }

  /** @internal */
  override updates(v: Leaves, clipped: Clip): Updates {
    const step = e.add(scaled(v, v.mean, v.variance), e.mul(v.wd, v.weight));
    return [...moments(v, alone(v, clipped)), ['weight', e.sub(v.weight, e.mul(v.lr, step))]];
  }

  /** @internal */
  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    return { ...super.scalarsOf(n), lr: this.correctBias ? n.lr * this.correction(n.t) : n.lr };
  }
}

/** Options of `Adamax`. */
export interface AdamaxOptions extends OptimizerOptions {
  readonly beta1?: number | undefined;
  readonly beta2?: number | undefined;
}

/**
 * Adam with the greatest gradient in place of the second moment: g ← clip(g + wd·w), u ← max(β₂·u, |g|), w ← w − lr/(1 − β₁ᵗ)·m/u. Where no gradient has come yet (u = 0), w
 * stays; MXNet gives NaN there. Learning rate 0.002. Kingma & Ba, 2014, section 7.1.
 */
export class Adamax extends WithBetas {
  constructor(options?: AdamaxOptions) {
    super('Adamax', options, { learningRate: 0.002 });
  }

  /** @internal */
  override updates(v: Leaves, clipped: Clip): Updates {
    const g = decayedFirst(v, clipped);
    const moved = e.sub(v.weight, e.mul(v.lr, e.div(v.mean, v.variance)));
    return [
      nextMean(v, g),
      ['variance', e.max(e.mul(v.beta2, v.variance), e.abs(g))],
      ['weight', e.select(e.eq(v.variance, 0), v.weight, moved)],
    ];
  }

  /** @internal */
  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    return { ...super.scalarsOf(n), lr: n.lr / (1 - this.beta1 ** n.t) };
  }
}

/** Options of `Nadam`. */
export interface NadamOptions extends AdamOptions {
  /** How fast the momentum reaches beta1; 0.004. */
  readonly scheduleDecay?: number | undefined;
}

/**
 * Adam with Nesterov's momentum: momenta μₜ = β₁·(1 − ½·0.96^(t·decay)); w ← w − lr·m̄ / (√(v/(1 − β₂ᵗ)) + ε) with
 * m̄ = (1 − μₜ)·g/(1 − μ₁…μₜ) + μₜ₊₁·m/(1 − μ₁…μₜ₊₁). The product runs over a parameter's own updates, as in the paper; MXNet multiplies over all parameters. Learning rate
 * 0.001. Dozat, 2016.
 */
export class Nadam extends WithBetas {
  declare readonly epsilon: number;
  declare readonly scheduleDecay: number;
  /** The product of the momenta up to each t. */
  readonly #products: number[] = [1];

  constructor(options?: NadamOptions) {
    super('Nadam', options, { epsilon: 1e-8, scheduleDecay: 0.004, lazyUpdate: true });
  }

  /** @internal ofGrad = (1 − μₜ)/(1 − μ₁…μₜ), ofMean = μₜ₊₁/(1 − μ₁…μₜ₊₁), ofVariance = 1/(1 − β₂ᵗ) */
  override updates(v: Leaves & Names<'ofGrad'>, clipped: Clip): Updates {
    const g = decayedFirst(v, clipped);
    const mean = e.add(e.mul(v.ofGrad, g), e.mul(v.ofMean, v.mean));
    return [
      ...moments(v, g),
      ['weight', e.sub(v.weight, scaled(v, e.mul(v.lr, mean), e.mul(v.ofVariance, v.variance)))],
    ];
  }

  /** @internal */
  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    const product = this.#productUpTo(n.t);
    const [now, next] = [this.#momentum(n.t), this.#momentum(n.t + 1)];
    return {
      ...super.scalarsOf(n),
      ofGrad: (1 - now) / (1 - product),
      ofMean: next / (1 - product * next),
      ofVariance: 1 / (1 - this.beta2 ** n.t),
    };
  }

  #momentum(t: number): number {
    return this.beta1 * (1 - 0.5 * 0.96 ** (t * this.scheduleDecay));
  }

  #productUpTo(t: number): number {
    const products = this.#products;
    for (let i = products.length; i <= t; i++) products.push((products[i - 1] as number) * this.#momentum(i));
    return products[t] as number;
  }
}

/** Options of `LAMB`. */
export interface LAMBOptions extends OptimizerOptions {
  readonly beta1?: number | undefined;
  readonly beta2?: number | undefined;
  /** 1e-6. */
  readonly epsilon?: number | undefined;
  /** What the weight's norm is at least taken for. */
  readonly lowerBound?: number | null | undefined;
  /** What the weight's norm is at most taken for. */
  readonly upperBound?: number | null | undefined;
  /** Corrects the moments for their beginning at zero; true by default. */
  readonly biasCorrection?: boolean | undefined;
}

type Norms = Names<Common | 'direction' | 'weightNorm' | 'directionNorm' | 'lowerBound' | 'upperBound'>;

/**
 * Adam with a step as long as the layer: d = m̂ / (√v̂ + ε) + wd·w, w ← w − lr·(‖w‖ / ‖d‖)·d, the ratio 1 where a norm is 0. Learning rate 0.001. You et al., 2019.
 */
export class LAMB extends WithBetas {
  declare readonly epsilon: number;
  declare readonly lowerBound: number | null;
  declare readonly upperBound: number | null;
  declare readonly biasCorrection: boolean;

  constructor(options?: LAMBOptions) {
    super('LAMB', options, { epsilon: 1e-6, lowerBound: null, upperBound: null, biasCorrection: true });
  }

  /** @internal */
  override updates(v: Leaves, clipped: Clip): Updates {
    return moments(v, alone(v, clipped));
  }

  /** @internal */
  override readonly layerwise: RuleParts['layerwise'] = {
    direction: (v: Leaves) =>
      e.add(scaled(v, e.mul(v.ofMean, v.mean), e.mul(v.ofVariance, v.variance)), e.mul(v.wd, v.weight)),
    step: (v: Norms) => {
      const least = this.lowerBound === null ? v.weightNorm : e.max(v.weightNorm, v.lowerBound);
      const norm = this.upperBound === null ? least : e.min(least, v.upperBound);
      const zero = e.or(e.eq(norm, 0), e.eq(v.directionNorm, 0));
      const ratio = e.select(zero, 1, e.div(norm, v.directionNorm));
      return e.sub(v.weight, e.mul(e.mul(v.lr, ratio), v.direction));
    },
  };

  /** @internal */
  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    return {
      ...super.scalarsOf(n),
      ofMean: this.biasCorrection ? 1 / (1 - this.beta1 ** n.t) : 1,
      ofVariance: this.biasCorrection ? 1 / (1 - this.beta2 ** n.t) : 1,
    };
  }
}
