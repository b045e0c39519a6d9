// Pooling over one to three spatial axes, channels first: windows, and whole planes.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { ShapeError } from '../../core/errors.ts';
import { shapeText } from '../../core/shape.ts';
import { booleanArg, readArgs } from '../../ops/args.ts';
import { type Extents, spread } from '../../ops/convolution.ts';
import { avgPool, globalPool, maxPool, type WindowPool } from '../../ops/pooling.ts';
import { max, mean } from '../../ops/reduce.ts';
import type { BlockOptions } from '../block.ts';
import { stateOf } from '../state.ts';
import { pythonBool } from '../text.ts';
import { BLOCK_OPTIONS, blockOptions, checkAxes, checkLayout, Layer } from './layer.ts';

/** Options of pooling layers. A number serves for every spatial axis. */
export interface PoolOptions extends BlockOptions {
  /** 2 by default. */
  readonly poolSize?: Extents | undefined;
  /** As the pool size by default. */
  readonly strides?: Extents | null | undefined;
  /** On both sides of each axis; 0 by default. */
  readonly padding?: Extents | undefined;
  /** Channels first: 'NCW', 'NCHW' or 'NCDHW'. */
  readonly layout?: string | undefined;
  /** Rounds the number of windows up; false by default. */
  readonly ceilMode?: boolean | undefined;
}

/** Options of average pooling layers. */
export interface AvgPoolOptions extends PoolOptions {
  /** Whether padding counts as zeros in the mean; true by default. */
  readonly countIncludePad?: boolean | undefined;
}

/** Options of global pooling layers. */
export interface GlobalPoolOptions extends BlockOptions {
  readonly layout?: string | undefined;
}

/** What differs between pooling layers of different kinds: what folds windows, or whole planes. */
type Kind = {
  readonly name: string;
  readonly ndim: 1 | 2 | 3;
} & (
  | { readonly windows: WindowPool; readonly averages: boolean }
  | { readonly planes: (x: NDArray) => NDArray }
);

/** Every pooling layer. */
class Pool extends Layer {
  static override readonly kind: string = 'Pool';
  readonly #kind: Kind;
  readonly #size: readonly number[];
  readonly #stride: readonly number[];
  readonly #pad: readonly number[];
  readonly #ceil: boolean;
  readonly #countIncludePad: boolean;

  constructor(kind: Kind, poolSize: unknown, strides: unknown, options: unknown) {
    const { name, ndim } = kind;
    const global = 'planes' in kind;
    const named = [
      'layout',
      ...BLOCK_OPTIONS,
      ...(global ? [] : ['padding', 'ceilMode']),
      ...(!global && kind.averages ? ['countIncludePad'] : []),
    ];
    const values = readArgs(
      name,
      [poolSize, strides ?? undefined, options],
      global ? [] : ['poolSize', 'strides'],
      named,
    );
    checkLayout(name, values['layout'], ndim);
    const size = spread(name, 'poolSize', (values['poolSize'] ?? (global ? 1 : 2)) as Extents, ndim, 2, 1);
    const stride = spread(name, 'strides', (values['strides'] ?? size) as Extents, ndim, 1, 1);
    const pad = spread(name, 'padding', values['padding'] as Extents | undefined, ndim, 0, 0);
    for (const [i, p] of pad.entries())
      if (p >= (size[i] as number) && p > 0)
        throw new ShapeError(
          `expected padding below the pool size ${size[i]}, received ${p}. Every window must see some input.`,
          { op: name },
        );
    // MXNet prints its global pools as rounding up
    const ceil = booleanArg(name, values, 'ceilMode', global);
    const countIncludePad = booleanArg(name, values, 'countIncludePad', true);
    super(blockOptions(values), 'pool');
    this.#kind = kind;
    this.#size = size;
    this.#stride = stride;
    this.#pad = pad;
    this.#ceil = ceil;
    this.#countIncludePad = countIncludePad;
  }

  override forward(x: NDArray): NDArray {
    const kind = this.#kind;
    const { name, ndim } = kind;
    checkAxes(stateOf(this).className, bodyOf(x, name).shape, ndim);
    if ('planes' in kind) return kind.planes(x);
    return kind.windows(x, {
      kernel: this.#size,
      stride: this.#stride,
      pad: this.#pad,
      full: this.#ceil,
      countIncludePad: this.#countIncludePad,
    });
  }

  override toString(): string {
    return `${stateOf(this).className}(size=${shapeText(this.#size)}, stride=${shapeText(this.#stride)}, padding=${shapeText(this.#pad)}, ceil_mode=${pythonBool(this.#ceil)})`;
  }
}

/** The greatest of each window of (N, C, W): ⌊(extent + 2·padding − poolSize) / strides⌋ + 1 windows along an axis. Maxima start from −∞ and let NaN through. */
export class MaxPool1D extends Pool {
  static override readonly kind: string = 'MaxPool1D';

  constructor(
    poolSize?: Extents | PoolOptions,
    strides?: Extents | null | PoolOptions,
    options?: PoolOptions,
  ) {
    super({ name: 'MaxPool1D', ndim: 1, windows: maxPool, averages: false }, poolSize, strides, options);
  }
}

/**
 * The greatest of each window of (N, C, H, W): ⌊(extent + 2·padding − poolSize) / strides⌋ + 1 windows along an axis. Maxima start from −∞ and let NaN through.
 *
 * @example
 * new nn.MaxPool2D(2, 2);
 */
export class MaxPool2D extends Pool {
  static override readonly kind: string = 'MaxPool2D';

  constructor(
    poolSize?: Extents | PoolOptions,
    strides?: Extents | null | PoolOptions,
    options?: PoolOptions,
  ) {
    super({ name: 'MaxPool2D', ndim: 2, windows: maxPool, averages: false }, poolSize, strides, options);
  }
}

/** The greatest of each window of (N, C, D, H, W): ⌊(extent + 2·padding − poolSize) / strides⌋ + 1 windows along an axis. Maxima start from −∞ and let NaN through. */
export class MaxPool3D extends Pool {
  static override readonly kind: string = 'MaxPool3D';

  constructor(
    poolSize?: Extents | PoolOptions,
    strides?: Extents | null | PoolOptions,
    options?: PoolOptions,
  ) {
    super({ name: 'MaxPool3D', ndim: 3, windows: maxPool, averages: false }, poolSize, strides, options);
  }
}

/** The mean of each window of (N, C, W): ⌊(extent + 2·padding − poolSize) / strides⌋ + 1 windows along an axis. Padding counts unless `countIncludePad: false`. */
export class AvgPool1D extends Pool {
  static override readonly kind: string = 'AvgPool1D';

  constructor(
    poolSize?: Extents | AvgPoolOptions,
    strides?: Extents | null | AvgPoolOptions,
    options?: AvgPoolOptions,
  ) {
    super({ name: 'AvgPool1D', ndim: 1, windows: avgPool, averages: true }, poolSize, strides, options);
  }
}

/** The mean of each window of (N, C, H, W): ⌊(extent + 2·padding − poolSize) / strides⌋ + 1 windows along an axis. Padding counts unless `countIncludePad: false`. */
export class AvgPool2D extends Pool {
  static override readonly kind: string = 'AvgPool2D';

  constructor(
    poolSize?: Extents | AvgPoolOptions,
    strides?: Extents | null | AvgPoolOptions,
    options?: AvgPoolOptions,
  ) {
    super({ name: 'AvgPool2D', ndim: 2, windows: avgPool, averages: true }, poolSize, strides, options);
  }
}

/** The mean of each window of (N, C, D, H, W): ⌊(extent + 2·padding − poolSize) / strides⌋ + 1 windows along an axis. Padding counts unless `countIncludePad: false`. */
export class AvgPool3D extends Pool {
  static override readonly kind: string = 'AvgPool3D';

  constructor(
    poolSize?: Extents | AvgPoolOptions,
    strides?: Extents | null | AvgPoolOptions,
    options?: AvgPoolOptions,
  ) {
    super({ name: 'AvgPool3D', ndim: 3, windows: avgPool, averages: true }, poolSize, strides, options);
  }
}

/** The greatest of each channel: (N, C, W) → (N, C, 1). */
export class GlobalMaxPool1D extends Pool {
  static override readonly kind: string = 'GlobalMaxPool1D';

  constructor(options?: GlobalPoolOptions) {
    super(
      { name: 'GlobalMaxPool1D', ndim: 1, planes: (x) => globalPool(x, max) },
      options,
      undefined,
      undefined,
    );
  }
}

/** The greatest of each channel: (N, C, H, W) → (N, C, 1, 1). */
export class GlobalMaxPool2D extends Pool {
  static override readonly kind: string = 'GlobalMaxPool2D';

  constructor(options?: GlobalPoolOptions) {
    super(
      { name: 'GlobalMaxPool2D', ndim: 2, planes: (x) => globalPool(x, max) },
      options,
      undefined,
      undefined,
    );
  }
}

/** The greatest of each channel: (N, C, D, H, W) → (N, C, 1, 1, 1). */
export class GlobalMaxPool3D extends Pool {
  static override readonly kind: string = 'GlobalMaxPool3D';

  constructor(options?: GlobalPoolOptions) {
    super(
      { name: 'GlobalMaxPool3D', ndim: 3, planes: (x) => globalPool(x, max) },
      options,
      undefined,
      undefined,
    );
  }
}

/** The mean of each channel: (N, C, W) → (N, C, 1). */
export class GlobalAvgPool1D extends Pool {
  static override readonly kind: string = 'GlobalAvgPool1D';

  constructor(options?: GlobalPoolOptions) {
    super(
      { name: 'GlobalAvgPool1D', ndim: 1, planes: (x) => globalPool(x, mean) },
      options,
      undefined,
      undefined,
    );
  }
}

/** The mean of each channel: (N, C, H, W) → (N, C, 1, 1). */
export class GlobalAvgPool2D extends Pool {
  static override readonly kind: string = 'GlobalAvgPool2D';

  constructor(options?: GlobalPoolOptions) {
    super(
      { name: 'GlobalAvgPool2D', ndim: 2, planes: (x) => globalPool(x, mean) },
      options,
      undefined,
      undefined,
    );
  }
}

/** The mean of each channel: (N, C, D, H, W) → (N, C, 1, 1, 1). */
export class GlobalAvgPool3D extends Pool {
  static override readonly kind: string = 'GlobalAvgPool3D';

  constructor(options?: GlobalPoolOptions) {
    super(
      { name: 'GlobalAvgPool3D', ndim: 3, planes: (x) => globalPool(x, mean) },
      options,
      undefined,
      undefined,
    );
  }
}
