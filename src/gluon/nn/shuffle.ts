// Layers that move pixels: padding by reflection, and channels turned into space.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { ShapeError } from '../../core/errors.ts';
import { describe, shapeText } from '../../core/shape.ts';
import { readArgs } from '../../ops/args.ts';
import { pad } from '../../ops/blocks.ts';
import { type Extents, spread } from '../../ops/convolution.ts';
import { transpose } from '../../ops/moves.ts';
import { reshape } from '../../ops/views.ts';
import type { BlockOptions } from '../block.ts';
import { stateOf } from '../state.ts';
import { BLOCK_OPTIONS, blockOptions, Layer } from './layer.ts';

/**
 * Pads (N, C, H, W) with its own reflection, without the edge itself: a number for all four sides, or MXNet's eight (before and after for each
 * axis, 0 for the first two).
 */
export class ReflectionPad2D extends Layer {
  static override readonly kind: string = 'ReflectionPad2D';
  readonly #widths: readonly number[];

  constructor(
    padding?: Extents | (BlockOptions & { readonly padding?: Extents | undefined }),
    options?: BlockOptions,
  ) {
    const values = readArgs('ReflectionPad2D', [padding, options], ['padding'], BLOCK_OPTIONS);
    const given = (values['padding'] ?? 0) as Extents;
    const widths = typeof given === 'number' ? [0, 0, 0, 0, given, given, given, given] : given;
    if (!Array.isArray(widths) || widths.length !== 8 || widths.some((w) => !Number.isInteger(w) || w < 0))
      throw new ShapeError(
        `expected padding as one integer ≥ 0, or eight, received ${describe(given)}. Write new nn.ReflectionPad2D(1).`,
        { op: 'ReflectionPad2D' },
      );
    super(blockOptions(values));
    this.#widths = [...widths];
  }

  override forward(x: NDArray): NDArray {
    const { shape } = bodyOf(x, 'ReflectionPad2D');
    if (shape.length !== 4)
      throw new ShapeError(
        `expected input of shape (N, C, H, W), received ${shapeText(shape)}. Reshape it first, e.g. x.expandDims(0) for one sample.`,
        { op: stateOf(this).className },
      );
    return pad(x, { mode: 'reflect', padWidth: this.#widths });
  }
}

/** (N, C·∏f, …) → (N, C, …·f): each group of ∏f channels becomes a block of f pixels. Shi et al., 2016. */
class PixelShuffle extends Layer {
  static override readonly kind: string = 'PixelShuffle';
  readonly #factors: readonly number[];

  constructor(name: string, ndim: number, factor: unknown, options: unknown) {
    const values = readArgs(name, [factor, options], ['factor'], BLOCK_OPTIONS);
    if (values['factor'] === undefined)
      throw new ShapeError(`expected a factor, received none. Write new nn.${name}(2).`, { op: name });
    const factors = spread(name, 'factor', values['factor'] as Extents, ndim, 1, 1);
    super(blockOptions(values));
    this.#factors = factors;
  }

  override forward(x: NDArray): NDArray {
    const op = stateOf(this).className;
    const { shape } = bodyOf(x, op);
    const factors = this.#factors;
    const ndim = factors.length;
    const block = factors.reduce((a, b) => a * b, 1);
    if (shape.length !== ndim + 2 || shape[1] % block !== 0)
      throw new ShapeError(
        `expected input of shape (N, C, ${['D', 'H', 'W'].slice(3 - ndim).join(', ')}) with C divisible by ${block}, received ${shapeText(shape)}. Check the factor.`,
        { op },
      );
    const [n, channels] = [shape[0], shape[1] / block];
    const space = shape.slice(2);
    // (N, C, f…, space…) → (N, C, space₀, f₀, space₁, f₁, …)
    const order = [0, 1, ...factors.flatMap((_, i) => [2 + ndim + i, 2 + i])];
    const split = reshape(x, [n, channels, ...factors, ...space]);
    return reshape(transpose(split, order), [
      n,
      channels,
      ...space.map((d, i) => d * (factors[i] as number)),
    ]);
  }

  override toString(): string {
    const shown = this.#factors.length === 1 ? String(this.#factors[0]) : shapeText(this.#factors);
    return `${stateOf(this).className}(${shown})`;
  }
}

type Factor = Extents | (BlockOptions & { readonly factor: Extents });

/** (N, C·f, W) → (N, C, W·f). */
export class PixelShuffle1D extends PixelShuffle {
  static override readonly kind: string = 'PixelShuffle1D';

  constructor(factor: Factor, options?: BlockOptions) {
    super('PixelShuffle1D', 1, factor, options);
  }
}

/** (N, C·f₁·f₂, H, W) → (N, C, H·f₁, W·f₂). */
export class PixelShuffle2D extends PixelShuffle {
  static override readonly kind: string = 'PixelShuffle2D';

  constructor(factor: Factor, options?: BlockOptions) {
    super('PixelShuffle2D', 2, factor, options);
  }
}

/** (N, C·f₁·f₂·f₃, D, H, W) → (N, C, D·f₁, H·f₂, W·f₃). */
export class PixelShuffle3D extends PixelShuffle {
  static override readonly kind: string = 'PixelShuffle3D';

  constructor(factor: Factor, options?: BlockOptions) {
    super('PixelShuffle3D', 3, factor, options);
  }
}
