// Adam and its kin: Adam, AdamW, Adamax, Nadam, LAMB. Corrections for t are computed on the host in double precision and go in as scalars. Formulas and defaults are
// MXNet's (python/mxnet/optimizer, src/operator/optimizer_op-inl.h); AdamW's those of GluonNLP.
import type { Expr } from '../../ir/expr.ts';
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

const BETAS = ['beta1', 'beta2', 'restOfBeta1', 'restOfBeta2'] as const;
type Beta = (typeof BETAS)[number];
const SCALARS = ['lr', 'wd', 'rescale', 'clip', 'epsilon', ...BETAS] as const;
const STATES = ['mean', 'variance'] as const;

type Moments = Readonly<Record<'mean' | 'variance' | Beta, Expr>>;
type Gradient = Readonly<Record<'grad' | 'weight' | 'rescale' | 'clip' | 'wd', Expr>>;

const nextMean = (v: Moments, g: Expr): Expr => e.add(e.mul(v.beta1, v.mean), e.mul(v.restOfBeta1, g));
const nextVariance = (v: Moments, g: Expr): Expr =>
  e.add(e.mul(v.beta2, v.variance), e.mul(v.restOfBeta2, e.mul(g, g)));
/** clip(rescale·grad + wd·weight). */
const decayedFirst = (v: Gradient, clips: boolean): Expr =>
  clipped(e.add(e.mul(v.rescale, v.grad), e.mul(v.wd, v.weight)), v.clip, clips);
/** clip(rescale·grad). */
const alone = (v: Gradient, clips: boolean): Expr => clipped(e.mul(v.rescale, v.grad), v.clip, clips);

abstract class WithBetas extends Optimizer {
  readonly beta1: number;
  readonly beta2: number;

  constructor(op: string, values: Record<string, unknown>, rate: number) {
    super(op, values, rate);
    this.beta1 = numberArg(op, values, 'beta1', 0.9);
    this.beta2 = numberArg(op, values, 'beta2', 0.999);
    booleanArg(op, values, 'lazyUpdate', true);
  }

  /** The scalars common to all. */
  protected betas(): Readonly<Record<Beta, number>> {
    const { beta1, beta2 } = this;
    return { beta1, beta2, restOfBeta1: 1 - beta1, restOfBeta2: 1 - beta2 };
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
  readonly epsilon: number;
  override readonly rule: UpdateRule;

  constructor(options?: AdamOptions) {
    const values = optimizerOptions('Adam', options, ['beta1', 'beta2', 'epsilon', 'lazyUpdate']);
    super('Adam', values, 0.001);
    this.epsilon = numberArg('Adam', values, 'epsilon', 1e-8);
    const clips = this.clipGradient !== null;
    this.rule = ruleOnce(`adam ${clips}`, () =>
      updateRule('adam', {
        states: STATES,
        scalars: SCALARS,
        update: (v) => [
          ['mean', nextMean(v, decayedFirst(v, clips))],
          ['variance', nextVariance(v, decayedFirst(v, clips))],
          ['weight', e.sub(v.weight, e.div(e.mul(v.lr, v.mean), e.add(e.sqrt(v.variance), v.epsilon)))],
        ],
      }),
    );
  }

  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    return { ...n, ...this.betas(), epsilon: this.epsilon, lr: n.lr * this.correction(n.t) };
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
  readonly epsilon: number;
  readonly correctBias: boolean;
  override readonly rule: UpdateRule;

  constructor(options?: AdamWOptions) {
    const values = optimizerOptions('AdamW', options, ['beta1', 'beta2', 'epsilon', 'correctBias']);
    super('AdamW', values, 0.001);
    this.epsilon = numberArg('AdamW', values, 'epsilon', 1e-6);
    this.correctBias = booleanArg('AdamW', values, 'correctBias', true);
    const clips = this.clipGradient !== null;
    this.rule = ruleOnce(`adamw ${clips}`, () =>
      updateRule('adamw', {
        states: STATES,
        scalars: SCALARS,
        update: (v) => [
          ['mean', nextMean(v, alone(v, clips))],
          ['variance', nextVariance(v, alone(v, clips))],
          [
            'weight',
            e.sub(
              v.weight,
              e.mul(v.lr, e.add(e.div(v.mean, e.add(e.sqrt(v.variance), v.epsilon)), e.mul(v.wd, v.weight))),
            ),
          ],
        ],
      }),
    );
  }

  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    const lr = this.correctBias ? n.lr * this.correction(n.t) : n.lr;
    return { ...n, ...this.betas(), epsilon: this.epsilon, lr };
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
  override readonly rule: UpdateRule;

  constructor(options?: AdamaxOptions) {
    const values = optimizerOptions('Adamax', options, ['beta1', 'beta2']);
    super('Adamax', values, 0.002);
    const clips = this.clipGradient !== null;
    this.rule = ruleOnce(`adamax ${clips}`, () =>
      updateRule('adamax', {
        states: STATES,
        scalars: SCALARS,
        update: (v) => [
          ['mean', nextMean(v, decayedFirst(v, clips))],
          ['variance', e.max(e.mul(v.beta2, v.variance), e.abs(decayedFirst(v, clips)))],
          [
            'weight',
            e.select(e.eq(v.variance, 0), v.weight, e.sub(v.weight, e.mul(v.lr, e.div(v.mean, v.variance)))),
          ],
        ],
      }),
    );
  }

  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    return { ...n, ...this.betas(), epsilon: 0, lr: n.lr / (1 - this.beta1 ** n.t) };
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
  readonly epsilon: number;
  readonly scheduleDecay: number;
  override readonly rule: UpdateRule;
  /** The product of the momenta up to each t. */
  readonly #products: number[] = [1];

  constructor(options?: NadamOptions) {
    const values = optimizerOptions('Nadam', options, [
      'beta1',
      'beta2',
      'epsilon',
      'scheduleDecay',
      'lazyUpdate',
    ]);
    super('Nadam', values, 0.001);
    this.epsilon = numberArg('Nadam', values, 'epsilon', 1e-8);
    this.scheduleDecay = numberArg('Nadam', values, 'scheduleDecay', 0.004);
    const clips = this.clipGradient !== null;
    this.rule = ruleOnce(`nadam ${clips}`, () =>
      updateRule('nadam', {
        states: STATES,
        // ofGrad = (1 − μₜ)/(1 − μ₁…μₜ), ofMean = μₜ₊₁/(1 − μ₁…μₜ₊₁), ofVariance = 1/(1 − β₂ᵗ)
        scalars: [...SCALARS, 'ofGrad', 'ofMean', 'ofVariance'],
        update: (v) => [
          ['mean', nextMean(v, decayedFirst(v, clips))],
          ['variance', nextVariance(v, decayedFirst(v, clips))],
          [
            'weight',
            e.sub(
              v.weight,
              e.div(
                e.mul(v.lr, e.add(e.mul(v.ofGrad, decayedFirst(v, clips)), e.mul(v.ofMean, v.mean))),
                e.add(e.sqrt(e.mul(v.ofVariance, v.variance)), v.epsilon),
              ),
            ),
          ],
        ],
      }),
    );
  }

  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    const product = this.#productUpTo(n.t);
    const [now, next] = [this.#momentum(n.t), this.#momentum(n.t + 1)];
    return {
      ...n,
      ...this.betas(),
      epsilon: this.epsilon,
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

/**
 * Adam with a step as long as the layer: d = m̂ / (√v̂ + ε) + wd·w, w ← w − lr·(‖w‖ / ‖d‖)·d, the ratio 1 where a norm is 0. Learning rate 0.001. You et al., 2019.
 */
export class LAMB extends WithBetas {
  readonly epsilon: number;
  readonly lowerBound: number | null;
  readonly upperBound: number | null;
  readonly biasCorrection: boolean;
  override readonly rule: UpdateRule;

  constructor(options?: LAMBOptions) {
    const own = ['beta1', 'beta2', 'epsilon', 'lowerBound', 'upperBound', 'biasCorrection'];
    const values = optimizerOptions('LAMB', options, own);
    super('LAMB', values, 0.001);
    this.epsilon = numberArg('LAMB', values, 'epsilon', 1e-6);
    this.lowerBound = boundArg('LAMB', values, 'lowerBound');
    this.upperBound = boundArg('LAMB', values, 'upperBound');
    this.biasCorrection = booleanArg('LAMB', values, 'biasCorrection', true);
    const clips = this.clipGradient !== null;
    const [from, to] = [this.lowerBound !== null, this.upperBound !== null];
    this.rule = ruleOnce(`lamb ${clips} ${from} ${to}`, () => lambRule(clips, from, to));
  }

  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    return {
      ...n,
      ...this.betas(),
      epsilon: this.epsilon,
      ofMean: this.biasCorrection ? 1 / (1 - this.beta1 ** n.t) : 1,
      ofVariance: this.biasCorrection ? 1 / (1 - this.beta2 ** n.t) : 1,
      lower: this.lowerBound ?? 0,
      upper: this.upperBound ?? 0,
    };
  }
}

function lambRule(clips: boolean, from: boolean, to: boolean): UpdateRule {
  return updateRule('lamb', {
    states: STATES,
    scalars: [...SCALARS, 'ofMean', 'ofVariance', 'lower', 'upper'],
    update: (v) => [
      ['mean', nextMean(v, alone(v, clips))],
      ['variance', nextVariance(v, alone(v, clips))],
    ],
    layerwise: {
      direction: (v) =>
        e.add(
          e.div(e.mul(v.ofMean, v.mean), e.add(e.sqrt(e.mul(v.ofVariance, v.variance)), v.epsilon)),
          e.mul(v.wd, v.weight),
        ),
      step(v) {
        const least = from ? e.max(v.weightNorm, v.lower) : v.weightNorm;
        const norm = to ? e.min(least, v.upper) : least;
        const zero = e.or(e.eq(norm, 0), e.eq(v.directionNorm, 0));
        const ratio = e.select(zero, 1, e.div(norm, v.directionNorm));
        return e.sub(v.weight, e.mul(e.mul(v.lr, ratio), v.direction));
      },
    },
  });
}
