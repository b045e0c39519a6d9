// Layers that fit no family: dropout, embedding, flattening, functions as blocks.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { isTraining } from '../../autograd/mode.ts';
import { checkDType, type DType } from '../../core/dtype.ts';
import { ArgumentError } from '../../core/errors.ts';
import { describe, shapeText } from '../../core/shape.ts';
import { arrayFunctions } from '../../nd/methods.ts';
import { booleanArg, integerArg, numberArg, readArgs, suggest } from '../../ops/args.ts';
import { drop } from '../../ops/dropout.ts';
import { embedding } from '../../ops/indexing.ts';
import { flatten } from '../../ops/views.ts';
import type { BlockOptions } from '../block.ts';
import type { InitializerLike } from '../initByName.ts';
import { type BlockRole, stateOf } from '../state.ts';
import { pythonNumber } from '../text.ts';
import { BLOCK_OPTIONS, blockOptions, Layer } from './layer.ts';

/** Options of `Dropout`. */
export interface DropoutOptions extends BlockOptions {
  /** Axes along which one draw serves all; none by default. */
  readonly axes?: readonly number[] | undefined;
}

/**
 * In training sets a share `rate` of the elements to 0 and divides the others by 1 − rate; else gives its input. Srivastava et al., 2014.
 */
export class Dropout extends Layer {
  static override readonly kind: string = 'Dropout';
  readonly #rate: number;
  readonly #axes: readonly number[];

  constructor(rate: number | (DropoutOptions & { readonly rate: number }), options?: DropoutOptions) {
    const values = readArgs('Dropout', [rate, options], ['rate'], ['axes', ...BLOCK_OPTIONS]);
    const share = numberArg('Dropout', values, 'rate');
    const axes = values['axes'] ?? [];
    if (!(share >= 0 && share < 1))
      throw new ArgumentError(
        `expected a rate from 0 to below 1, received ${share}. It is the share that is dropped.`,
        {
          op: 'Dropout',
        },
      );
    if (!Array.isArray(axes) || axes.some((a) => !Number.isInteger(a)))
      throw new ArgumentError(
        `expected axes as a list of integers, received ${describe(axes)}. Write e.g. { axes: [1] }.`,
        {
          op: 'Dropout',
        },
      );
    super(blockOptions(values));
    this.#rate = share;
    this.#axes = axes;
  }

  override forward(x: NDArray): NDArray {
    bodyOf(x, 'Dropout');
    return !isTraining() || this.#rate === 0 ? x : drop(x, this.#rate, this.#axes);
  }

  override toString(): string {
    return `${stateOf(this).className}(p = ${pythonNumber(this.#rate)}, axes=${shapeText(this.#axes)})`;
  }
}

/** Options of `Embedding`. */
export interface EmbeddingOptions extends BlockOptions {
  readonly dtype?: DType | undefined;
  readonly weightInitializer?: InitializerLike | null | undefined;
  /** Accepted for Gluon's sake: gradients are dense. */
  readonly sparseGrad?: boolean | undefined;
}

/** Rows of a table: ids of shape (…) → (…, outputDim). Ids below 0 or from inputDim on count as the nearest that exists. */
export class Embedding extends Layer {
  static override readonly kind: string = 'Embedding';
  readonly #dtype: DType;

  constructor(inputDim: number, outputDim: number, options?: EmbeddingOptions);
  constructor(options: EmbeddingOptions & { readonly inputDim: number; readonly outputDim: number });
  constructor(inputDim: unknown, outputDim?: unknown, options?: unknown) {
    const values = readArgs(
      'Embedding',
      [inputDim, outputDim, options],
      ['inputDim', 'outputDim'],
      ['dtype', 'weightInitializer', 'sparseGrad', ...BLOCK_OPTIONS],
    );
    const rows = integerArg('Embedding', values, 'inputDim', undefined, 1);
    const width = integerArg('Embedding', values, 'outputDim', undefined, 1);
    const dtype = checkDType(values['dtype'] ?? 'float32', 'Embedding');
    booleanArg('Embedding', values, 'sparseGrad', false);
    super(blockOptions(values));
    const { weightInitializer } = values as EmbeddingOptions;
    this.#dtype = dtype;
    this.weight = this.params.get('weight', { shape: [rows, width], init: weightInitializer, dtype });
  }

  override forward(x: NDArray): NDArray {
    bodyOf(x, 'Embedding');
    return embedding(x, this.weight.data(x.context));
  }

  override toString(): string {
    const [rows, width] = this.weight.shape;
    return `${stateOf(this).className}(${rows} -> ${width}, ${this.#dtype})`;
  }
}

/** Folds all axes but the first into one: (N, …) → (N, ∏…). Shares memory with its input. */
export class Flatten extends Layer {
  static override readonly kind: string = 'Flatten';

  override forward(x: NDArray): NDArray {
    return flatten(x);
  }

  override toString(): string {
    return stateOf(this).className;
  }
}

/** Gives its input. */
export class Identity extends Layer {
  static override readonly kind: string = 'Identity';

  override forward(x: NDArray): NDArray {
    bodyOf(x, 'Identity');
    return x;
  }
}

/** A function of arrays. */
type ArrayFunction = (...inputs: NDArray[]) => NDArray;

function functionNamed(op: string, name: string): ArrayFunction {
  const known = Object.entries(arrayFunctions);
  const found = known.find(([key]) => key === name);
  if (found !== undefined) return found[1] as ArrayFunction;
  const meant = suggest(
    name,
    known.map(([key]) => key),
  );
  throw new ArgumentError(
    `expected a function or the name of one in nd, received ${JSON.stringify(name)}. ${meant === undefined ? 'Pass a function.' : `Did you mean '${meant}'?`}`,
    { op },
  );
}

/**
 * A function as a block: one of yours, or the name of one in `nd`.
 *
 * @example
 * net.add(new nn.Lambda('tanh'), new nn.Lambda((x) => x.mul(2)));
 */
export class Lambda extends Layer {
  static override readonly kind: string = 'Lambda';
  static override readonly role: BlockRole = 'block';
  static override readonly compiles: boolean = false;
  readonly #run: ArrayFunction;
  readonly #shown: string;

  constructor(fn: ArrayFunction | string, options?: BlockOptions) {
    if (typeof fn !== 'function' && typeof fn !== 'string')
      throw new ArgumentError(
        `expected a function or the name of one in nd, received ${describe(fn)}. Write new nn.Lambda((x) => …).`,
        { op: 'Lambda' },
      );
    const run = typeof fn === 'string' ? functionNamed('Lambda', fn) : fn;
    super(options);
    this.#run = run;
    this.#shown = typeof fn === 'string' ? fn : fn.name === '' ? '<lambda>' : fn.name;
  }

  override forward(...inputs: NDArray[]): NDArray {
    return this.#run(...inputs);
  }

  override toString(): string {
    return `${stateOf(this).className}(${this.#shown})`;
  }
}
