// Chains of blocks, and blocks side by side.
import type { NDArray } from '../../array/ndarray.ts';
import { ArgumentError } from '../../core/errors.ts';
import { describe } from '../../core/shape.ts';
import { integerArg, readArgs } from '../../ops/args.ts';
import { concat } from '../../ops/joins.ts';
import type { BlockOptions } from '../block.ts';
import { type BlockRole, isBlock, stateOf } from '../state.ts';
import { BLOCK_OPTIONS, blockOptions, type ChainBlock, Layer } from './layer.ts';

/**
 * Runs its blocks one after the other.
 *
 * @example
 * const net = new nn.Sequential();
 * net.add(new nn.Dense(256, { activation: 'relu' }), new nn.Dense(10));
 * net[0].weight;        // dense0_weight
 * net.slice(0, 1);      // a Sequential that shares the first layer
 */
export class Sequential extends Layer {
  static override readonly kind: string = 'Sequential';
  static override readonly role: BlockRole = 'container';
  static override readonly compiles: boolean | 'chain' = 'chain';

  constructor(options?: BlockOptions) {
    super(options);
  }

  /** Adds blocks at the end. Returns the net. */
  add(...blocks: readonly ChainBlock[]): this {
    for (const block of blocks)
      if (!isBlock(block))
        throw new ArgumentError(
          `expected blocks, received ${describe(block)}. ${Array.isArray(block) ? 'Spread the list: net.add(...blocks).' : 'Wrap a function in new nn.Lambda(fn).'}`,
          { op: `${stateOf(this).className}.add` },
        );
    let at = this.length;
    for (const block of blocks) Reflect.set(this, String(at++), block);
    return this;
  }

  /** The number of blocks. */
  override get length(): number {
    let count = 0;
    while (Object.hasOwn(this, count)) count++;
    return count;
  }

  /** Blocks `start` to `end` (not included; negative numbers count from the end) in a container of the same kind, which shares them. */
  slice(start?: number, end?: number): this {
    for (const bound of [start, end])
      if (bound !== undefined && !Number.isInteger(bound))
        throw new ArgumentError(
          `expected whole numbers as bounds, received ${describe(bound)}. Write net.slice(0, 2).`,
          { op: `${stateOf(this).className}.slice` },
        );
    const made = this.emptyLike();
    made.add(...[...this].slice(start, end));
    return made as this;
  }

  *[Symbol.iterator](): Generator<Layer, void, undefined> {
    for (let i = 0; ; i++) {
      const block = this[i];
      if (block === undefined) return;
      yield block;
    }
  }

  override forward(x: NDArray): NDArray {
    let y = x;
    for (let i = 0; ; i++) {
      const block = this[i];
      if (block === undefined) return y;
      y = block(y);
    }
  }

  protected emptyLike(): Sequential {
    return new Sequential({ prefix: this.prefix });
  }
}

/** Options of `Concurrent`. */
export interface ConcurrentOptions extends BlockOptions {
  /** The axis along which outputs are joined; −1 by default. */
  readonly axis?: number | undefined;
}

/** Gives its input to every block and joins their outputs along an axis (the last by default). */
export class Concurrent extends Sequential {
  static override readonly kind: string = 'Concurrent';
  static override readonly role: BlockRole = 'block';
  readonly axis: number;

  constructor(axis?: number | ConcurrentOptions, options?: ConcurrentOptions) {
    const values = readArgs('Concurrent', [axis, options], ['axis'], BLOCK_OPTIONS);
    super(blockOptions(values));
    this.axis = integerArg('Concurrent', values, 'axis', -1);
  }

  override forward(x: NDArray): NDArray {
    return concat(
      [...this].map((block) => block(x)),
      { dim: this.axis },
    );
  }

  protected override emptyLike(): Sequential {
    return new Concurrent({ axis: this.axis, prefix: this.prefix });
  }
}
