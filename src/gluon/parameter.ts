// A parameter: named values on one or several contexts, with a shape that may wait for the first batch. Drawing is left to the
// initialisers, gradients to autograd, names of blocks to naming.ts.
import { bodyOf, type NDArray, setTape } from '../array/ndarray.ts';
import { gradientOf } from '../autograd/backward.ts';
import type { GradReq } from '../autograd/mode.ts';
import { placeOf, setVariable } from '../autograd/tape.ts';
import { type Context, currentContext } from '../core/context.ts';
import { checkDType, type DType } from '../core/dtype.ts';
import {
  AutogradError,
  ContextError,
  DeferredInitializationError,
  NotInitializedError,
  ShapeError,
} from '../core/errors.ts';
import { asShape, type Shape, shapeText } from '../core/shape.ts';
import { array as copyOf } from '../nd/make.ts';
import { booleanArg, numberArg, readArgs, wordArg } from '../ops/args.ts';
import { slots } from '../ops/invoke.ts';
import { astype } from '../ops/moves.ts';
import { setStridedSlice } from '../ops/slices.ts';
import { type Contexts, type HostArray, makeOwned, placeOn, toContexts } from './hostArray.ts';
import { Uniform } from './init.ts';
import { type InitializerLike, toInitializer } from './initByName.ts';
import {
  agree,
  extents,
  GRAD_REQS,
  isKnown,
  PARAMETER_OPTIONS,
  type ParameterInitOptions,
  type ParameterOptions,
  warnOfValues,
} from './parameterOptions.ts';
import { clear, draw, free, freeGradient, meanOf } from './parameterValues.ts';
import { offTape, unrecorded } from './quiet.ts';

export type { ParameterInitOptions, ParameterOptions } from './parameterOptions.ts';

/** An initialization that waits for a shape. */
interface Deferred {
  readonly init: InitializerLike;
  readonly contexts: readonly Context[];
}

/** @internal How often an initialization had to wait: blocks look again for waiting parameters when it has grown. */
export let deferrals = 0;

/** @internal What blocks and loaders do with parameters beside their public methods. */
export interface ParameterInternals {
  /** Gives a parameter made without a name its full name and the block it belongs to. */
  adopt(parameter: Parameter, name: string, block: string): void;
  isDeferred(parameter: Parameter): boolean;
  /** Says where the values will be of one that waits for its shape. */
  defer(parameter: Parameter, contexts: readonly Context[]): void;
  /** Where its values are or will be; undefined before `initialize`. */
  contextsOf(parameter: Parameter): readonly Context[] | undefined;
  /** Replaces the values' arrays, and with them shape and dtype. */
  install(parameter: Parameter, arrays: readonly NDArray[]): void;
  /** Frees the values. */
  release(parameter: Parameter): void;
  /** The arrays, none before initialization. */
  arraysOf(parameter: Parameter): readonly NDArray[];
}

/** @internal */
export let internals: ParameterInternals;

/**
 * Values that a block learns or keeps.
 *
 * A field of a block takes its name from the attribute; a 0 in the shape is filled by the block's `inferShape(x)`.
 *
 * @example
 * class Scale extends nn.Block {
 *   scale = new Parameter({ shape: [0], init: 'ones' });
 *   override inferShape(x: NDArray) { this.scale.shape = [x.shape[1]]; }
 *   forward(x: NDArray) { return x.mul(this.scale.data(x.context)); }
 * }
 */
export class Parameter {
  lrMult: number;
  wdMult: number;
  /** The parameter's own initializer; without one, that of `initialize()`. */
  init: InitializerLike | undefined;
  #name: string;
  #block = '';
  #shape: Shape | null;
  #dtype: DType;
  #arrays: readonly NDArray[] = [];
  /** The array, where there is one context: what most reads want. */
  #only: NDArray | null = null;
  #gradReq: GradReq;
  #deferred: Deferred | null = null;

  /** @throws ArgumentError, ShapeError or DTypeError for options that are none */
  constructor(options?: ParameterOptions);
  constructor(name: string, options?: ParameterOptions);
  constructor(name?: string | ParameterOptions, options?: ParameterOptions) {
    const values = readArgs(
      'Parameter',
      typeof name === 'string' ? [name, options] : [undefined, name ?? options],
      ['name'],
      PARAMETER_OPTIONS,
    );
    this.#name = (values['name'] as string | undefined) ?? '';
    const op = this.#label;
    const shape = values['shape'] as number | readonly number[] | null | undefined;
    this.#shape = shape === undefined || shape === null ? null : extents(shape, op);
    this.#dtype = checkDType(values['dtype'] ?? 'float32', op);
    const gradReq = wordArg<GradReq>(op, values, 'gradReq', GRAD_REQS, 'write');
    this.#gradReq = values['differentiable'] === false ? 'null' : gradReq;
    this.lrMult = numberArg(op, values, 'lrMult', 1);
    this.wdMult = numberArg(op, values, 'wdMult', 1);
    const init = values['init'] as InitializerLike | null | undefined;
    if (init !== undefined && init !== null) toInitializer(init, op);
    this.init = init ?? undefined;
  }

  /** The full name, `dense0_weight`; that of a field is known once its block is in use. */
  get name(): string {
    return this.#name;
  }

  /** The extents; 0 for one that is not known yet. */
  get shape(): Shape {
    return this.#shape ?? asShape([]);
  }

  /** Fills in what was 0; a parameter that waited for it is initialized at once. Throws ShapeError where known extents differ. */
  set shape(value: readonly number[]) {
    const merged = this.#merge(extents(value, this.#label));
    const deferred = this.#deferred;
    if (deferred === null || !isKnown(merged)) this.#shape = merged;
    else this.#draw(deferred, merged);
  }

  get dtype(): DType {
    return this.#dtype;
  }

  /** What becomes of the gradient at each backward: 'write' overwrites it, 'add' adds to it, 'null' keeps none. */
  get gradReq(): GradReq {
    return this.#gradReq;
  }

  set gradReq(value: GradReq) {
    const wanted = wordArg<GradReq>(this.#label, { gradReq: value }, 'gradReq', GRAD_REQS);
    if (wanted === this.#gradReq) return;
    this.#gradReq = wanted;
    for (const array of this.#arrays) {
      const variable = placeOf(array)?.variable;
      if (wanted !== 'null' && variable != null) variable.gradReq = wanted;
      else this.#mark(array);
    }
  }

  /**
   * Draws values by `init`, else by the parameter's own initializer, else by `defaultInit`. Waits for the shape where that is not known.
   * A parameter that has values only warns, unless `forceReinit`.
   */
  initialize(
    init?: InitializerLike | null | ParameterInitOptions,
    options?: Omit<ParameterInitOptions, 'init'>,
  ): void {
    const values = readArgs(
      'Parameter.initialize',
      [init ?? undefined, options],
      ['init'],
      ['ctx', 'defaultInit', 'forceReinit'],
    );
    const op = this.#label;
    if (this.#arrays.length > 0 && !booleanArg(op, values, 'forceReinit', false)) {
      warnOfValues(op);
      return;
    }
    const chosen = (values['init'] ?? this.init ?? values['defaultInit'] ?? new Uniform()) as InitializerLike;
    toInitializer(chosen, op);
    const deferred = { init: chosen, contexts: toContexts(values['ctx'] as Contexts | undefined, op) };
    if (isKnown(this.#shape)) this.#draw(deferred, this.#shape);
    else {
      this.#deferred = deferred;
      deferrals++;
    }
  }

  /**
   * The values on a context: the same array object at every call. Without `ctx` the only one, else that of the current context.
   *
   * @throws DeferredInitializationError while the shape waits for a first batch; NotInitializedError before `initialize`; ContextError
   * where the values live elsewhere
   */
  data(ctx?: Context): NDArray {
    const only = this.#only;
    if (only !== null && (ctx === undefined || ctx === only.context)) return only;
    this.#checkInitialized();
    return this.#on(ctx);
  }

  /** The values on all contexts. */
  listData(): NDArray[] {
    this.#checkInitialized();
    return [...this.#arrays];
  }

  /** The gradient on a context, zeros before the first backward. @throws AutogradError where `gradReq` is 'null' */
  grad(ctx?: Context): NDArray {
    return this.#gradOf(this.data(ctx));
  }

  /** The gradients on all contexts. @throws AutogradError where `gradReq` is 'null' */
  listGrad(): NDArray[] {
    return this.listData().map((array) => this.#gradOf(array));
  }

  /** Sets the gradients to 0; does nothing where there are none. */
  zeroGrad(): void {
    for (const array of this.#arrays) {
      const gradient = placeOf(array)?.variable?.grad;
      if (gradient != null) clear(gradient);
    }
  }

  /** The contexts of the values, or those they wait for. */
  listCtx(): Context[] {
    if (this.#deferred !== null) return [...this.#deferred.contexts];
    this.#checkInitialized();
    return this.#contexts;
  }

  /**
   * Writes values into the arrays of all contexts; fills in the shape where it waited.
   * @throws ShapeError where the shape differs; NotInitializedError before `initialize`; ContextError where values would leave a GPU
   */
  setData(data: NDArray): void {
    this.#merge(bodyOf(data, this.#label).shape);
    const contexts = this.#deferred?.contexts ?? this.#contexts;
    if (contexts.length === 0) this.#checkInitialized();
    for (const array of this.#arrays) slots.tape?.writing?.('setData', array);
    // a compiled step sees a write, but not how a parameter gets its first values
    const quiet = this.#arrays.length === 0 ? unrecorded : offTape;
    const fresh = quiet(() => makeOwned(contexts, (ctx) => copyOf(data, { ctx, dtype: this.#dtype })));
    if (this.#arrays.length === 0) {
      this.#install(fresh);
      return;
    }
    quiet(() => {
      fresh.forEach((from, i) => {
        setStridedSlice(this.#arrays[i] as NDArray, from);
        from.dispose();
      });
    });
  }

  /** Moves the values to other contexts; of values that differ between contexts, the mean. */
  async resetCtx(ctx: Contexts): Promise<void> {
    await resetContexts([this], ctx, this.#label);
  }

  /** Converts the values, and with them what is drawn later. */
  cast(dtype: DType): void {
    const wanted = checkDType(dtype, this.#label);
    if (wanted === this.#dtype) return;
    if (this.#arrays.length > 0)
      this.#install(unrecorded(() => makeOwned(this.#arrays, (array) => astype(array, wanted))));
    this.#dtype = wanted;
  }

  /** @internal The values in host memory: where several contexts hold them, their mean. */
  async reduced(): Promise<HostArray> {
    this.#checkInitialized();
    return meanOf(this.#arrays, this.#label);
  }

  /** `Parameter dense0_weight (shape=(2, 0), dtype=float32)`. */
  toString(): string {
    return `Parameter ${this.#name} (shape=${this.#shapeText}, dtype=${this.#dtype})`;
  }

  /** What `console.log` shows in Node. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }

  get #label(): string {
    return this.#name === '' ? 'Parameter' : this.#name;
  }

  get #contexts(): Context[] {
    return this.#arrays.map((array) => array.context);
  }

  /** The shape as texts have it. */
  get #shapeText(): string {
    return this.#shape === null ? 'None' : shapeText(this.#shape);
  }

  /** The shape with unknown extents filled in from another. */
  #merge(given: Shape): Shape {
    const own = this.#shape;
    if (own === null) return given;
    if (!agree(own, given))
      throw new ShapeError(
        `expected shape ${shapeText(own)}${own.includes(0) ? ' (0: not known yet)' : ''}, received ${shapeText(given)}. The extents that are known cannot change.`,
        { op: this.#label },
      );
    return asShape(own.map((d, i) => (d === 0 ? (given[i] as number) : d)));
  }

  #draw({ init, contexts }: Deferred, shape: Shape): void {
    const op = this.#label;
    this.#install(draw(op, toInitializer(init, op), contexts, shape, this.#dtype));
  }

  #install(arrays: readonly NDArray[]): void {
    const before = this.#arrays;
    const first = arrays[0] as NDArray;
    this.#deferred = null;
    this.#shape = first.shape;
    this.#dtype = first.dtype;
    this.#arrays = arrays;
    this.#only = arrays.length === 1 ? first : null;
    for (const array of before) free(array);
    for (const array of arrays) this.#mark(array);
  }

  /** Tells autograd whether a gradient is wanted. */
  #mark(array: NDArray): void {
    freeGradient(array);
    if (this.#gradReq === 'null') setTape(array, undefined);
    else setVariable(array, this.#gradReq);
  }

  #gradOf(array: NDArray): NDArray {
    const variable = placeOf(array)?.variable;
    if (variable != null && this.#gradReq !== 'null') return gradientOf(variable, array.context);
    throw new AutogradError(
      "expected a parameter with a gradient, received one with gradReq 'null'. Set gradReq to 'write' before the forward pass.",
      { op: this.#label },
    );
  }

  #checkInitialized(): void {
    if (this.#arrays.length > 0) return;
    const op = this.#label;
    if (this.#deferred !== null) {
      const who = this.#block === '' ? 'the block that uses it' : this.#block;
      throw new DeferredInitializationError(
        `expected values, received a parameter of shape ${this.#shapeText} whose unknown extents (0) wait for a first batch: ${who} has not run yet. ` +
          'Run one batch through the net, give the extent (inUnits, inChannels), or call inferShape(x).',
        { op },
      );
    }
    throw new NotInitializedError(
      'expected values, received a parameter that is not initialized. Call net.initialize() or await net.loadParameters(source) first. ' +
        'Blocks in #private fields and plain arrays are reached only after registerChild.',
      { op },
    );
  }

  #on(ctx: Context | undefined): NDArray {
    const arrays = this.#arrays;
    const wanted = ctx ?? (arrays.length === 1 ? (arrays[0] as NDArray).context : currentContext());
    const found = arrays.find((array) => array.context === wanted);
    if (found !== undefined) return found;
    throw new ContextError(
      `expected values on ${wanted}, received a parameter on ${this.#contexts.join(', ')}. Move the net: await net.resetCtx(${wanted}); or copy the input.`,
      { op: this.#label },
    );
  }

  static {
    internals = {
      adopt(parameter, name, block) {
        if (parameter.#name === '') parameter.#name = name;
        if (parameter.#block === '') parameter.#block = block;
      },
      isDeferred: (parameter) => parameter.#deferred !== null,
      defer(parameter, contexts) {
        const deferred = parameter.#deferred;
        if (deferred !== null) parameter.#deferred = { ...deferred, contexts };
      },
      contextsOf: (parameter) =>
        parameter.#deferred?.contexts ?? (parameter.#arrays.length > 0 ? parameter.#contexts : undefined),
      install: (parameter, arrays) => parameter.#install(arrays),
      arraysOf: (parameter) => parameter.#arrays,
      release(parameter) {
        for (const array of parameter.#arrays) free(array);
        parameter.#arrays = [];
        parameter.#only = null;
        parameter.#deferred = null;
      },
    };
  }
}

/** Moves parameters to other contexts; if one cannot be moved, none is. Of values that differ between contexts, the mean. */
export async function resetContexts(
  parameters: readonly Parameter[],
  ctx: Contexts,
  op: string,
): Promise<void> {
  const contexts = toContexts(ctx, op);
  const ready = parameters.filter((p) => !internals.isDeferred(p));
  const values = await Promise.all(ready.map((p) => p.reduced()));
  const made: NDArray[][] = [];
  try {
    for (const [i, p] of ready.entries()) made.push(placeOn(contexts, values[i] as HostArray, p.name));
  } catch (error) {
    for (const array of made.flat()) array.dispose();
    throw error;
  }
  for (const [i, p] of ready.entries()) internals.install(p, made[i] as NDArray[]);
  for (const p of parameters) internals.defer(p, contexts);
}
