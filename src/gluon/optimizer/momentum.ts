// Optimizers that follow the gradient, with or without momentum: SGD, NAG, Signum. Formulas and defaults are MXNet 1.x's (src/operator/optimizer_op-inl.h).
import type { Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import { Optimizer, type OptimizerOptions, type StepNumbers } from './optimizer.ts';
import type { Common, Names, Updates } from './rule.ts';

/** Options of `SGD` and `NAG`. */
export interface SGDOptions extends OptimizerOptions {
  /** 0 by default. */
  readonly momentum?: number | undefined;
  /** Accepted for Gluon's sake: there are no sparse gradients. */
  readonly lazyUpdate?: boolean | undefined;
}

/** `mu` is the option, `momentum` the state. */
type Leaves = Names<Common | 'momentum' | 'mu' | 'restOfMu' | 'keep'>;
type Clip = (x: Expr) => Expr;

/** lr·(clip(rescale·grad) + wd·weight): how far the gradient with its decay goes. */
const down = (v: Leaves, clipped: Clip): Expr => e.mul(v.lr, decayed(v, clipped));
const decayed = (v: Leaves, clipped: Clip): Expr =>
  e.add(clipped(e.mul(v.rescale, v.grad)), e.mul(v.wd, v.weight));

abstract class WithMomentum extends Optimizer {
  declare readonly momentum: number;

  /** @internal */
  override get states(): readonly string[] {
    return this.momentum === 0 ? [] : ['momentum'];
  }

  /** @internal */
  override scalarsOf(numbers: StepNumbers): Readonly<Record<string, number>> {
    return { ...super.scalarsOf(numbers), mu: this.momentum };
  }

  /** @internal */
  override updates(v: Leaves, clipped: Clip): Updates {
    if (this.momentum === 0) return [['weight', e.sub(v.weight, down(v, clipped))]];
    return [
      ['momentum', e.sub(e.mul(v.mu, v.momentum), down(v, clipped))],
      ['weight', this.moved(v, clipped)],
    ];
  }

  /** @internal The weight once the momentum is known. */
  protected abstract moved(v: Leaves, clipped: Clip): Expr;
}

/**
 * Stochastic gradient descent: w ← w − lr·(clip(g) + wd·w); with momentum m ← μ·m − lr·(clip(g) + wd·w), w ← w + m, so that the rate is inside the momentum. Learning rate 0.01.
 * @example new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.1, momentum: 0.9 });
 */
export class SGD extends WithMomentum {
  constructor(options?: SGDOptions) {
    super('SGD', options, { momentum: 0, lazyUpdate: true });
  }

  /** @internal */
  protected override moved(v: Leaves): Expr {
    return e.add(v.weight, v.momentum);
  }
}

/**
 * Nesterov's accelerated gradient: m ← μ·m − lr·(clip(g) + wd·w), w ← w + μ·m − lr·(clip(g) + wd·w). Learning rate 0.01. Nesterov, 1983; Sutskever et al., 2013.
 */
export class NAG extends WithMomentum {
  constructor(options?: SGDOptions) {
    super('NAG', options, { momentum: 0, lazyUpdate: true });
  }

  /** @internal */
  protected override moved(v: Leaves, clipped: Clip): Expr {
    return e.sub(e.add(v.weight, e.mul(v.mu, v.momentum)), down(v, clipped));
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
export class Signum extends WithMomentum {
  declare readonly wdLh: number;

  constructor(options?: SignumOptions) {
    super('Signum', options, { momentum: 0.9, wdLh: 0 });
  }

  /** @internal */
  override scalarsOf(n: StepNumbers): Readonly<Record<string, number>> {
    const decay = this.momentum === 0 ? n.wd : this.wdLh;
    return { ...super.scalarsOf(n), restOfMu: 1 - this.momentum, keep: 1 - n.lr * decay };
  }

  /** @internal */
  override updates(v: Leaves, clipped: Clip): Updates {
    if (this.momentum === 0)
      return [['weight', e.sub(e.mul(v.keep, v.weight), e.mul(v.lr, e.sign(e.mul(v.rescale, v.grad))))]];
    return [
      ['momentum', e.sub(e.mul(v.mu, v.momentum), e.mul(v.restOfMu, decayed(v, clipped)))],
      ['weight', this.moved(v)],
    ];
  }

  /** @internal */
  protected override moved(v: Leaves): Expr {
    return e.add(e.mul(v.keep, v.weight), e.mul(v.lr, e.sign(v.momentum)));
  }
}
