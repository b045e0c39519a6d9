// Block, the callable base of all layers and nets. Its fields are its structure (tree.ts reads them), its call is in call.ts, its files in files.ts.
import { runInScope } from '../array/ndarray.ts';
import type { Context } from '../core/context.ts';
import { checkDType, type DType } from '../core/dtype.ts';
import { ArgumentError } from '../core/errors.ts';
import { describe } from '../core/shape.ts';
import { openScoped, runScoped, type SyncCallback } from '../core/sync.ts';
import type { Source } from '../formats/source.ts';
import { checkOptions } from '../ops/args.ts';
import { callBlock } from './call.ts';
import type { LookInput } from './compiled/graphOf.ts';
import type { WarmupOptions, WarmupShape } from './compiled/warmup.ts';
import { type LoadOptions, loadArrays, type SaveOptions, saveArrays } from './files.ts';
import { cacheInfoOf, graphOf, type HybridizeOptions, hybridize, warmUp } from './hybridize.ts';
import type { InitializerLike } from './initByName.ts';
import { enterNames, nameBlock } from './naming.ts';
import { internals } from './parameter.ts';
import { type InitializeOptions, ParameterDict } from './parameterDict.ts';
import { quietInference } from './quiet.ts';
import {
  type AnyHook,
  type AnyPreHook,
  addState,
  type BlockRole,
  BlockState,
  type CacheInfo,
  type Hook,
  isBlock,
  stateOf,
} from './state.ts';
import { summarize } from './summary.ts';
import { indentRest } from './text.ts';
import { childrenOf, ownParameters, structureNames, walk } from './tree.ts';

/** Options that every block takes. */
export interface BlockOptions {
  /** Stands in front of the names of parameters; counted by kind (`dense0_`) without. */
  readonly prefix?: string | undefined;
  /** Another block's `params`, to share its parameters of the same names. */
  readonly params?: ParameterDict | undefined;
}

/** What registering a hook gives: `detach()` takes it off again, and so does the end of a `using` block. */
export interface HookHandle extends Disposable {
  detach(): void;
}

/** What a block's forward takes; of a block in general nothing is known. */
type InputsOf<B extends Block> =
  Parameters<B['forward']> extends never[] ? unknown[] : Parameters<B['forward']>;

// Declared as methods, and with a property no function has, so that a layer with more special hooks is still a block to the compiler.
/** What `registerForwardHook` takes. */
export type ForwardHook<B, Inputs, Output> = {
  hook(block: B, inputs: Inputs, output: Output): void;
}['hook'] & { readonly detach?: undefined };
/** What `registerForwardPreHook` takes. */
export type ForwardPreHook<B, Inputs> = { hook(block: B, inputs: Inputs): void }['hook'] & {
  readonly detach?: undefined;
};

/** Makes the closure that a block is; what else a block has is added by its subclass, Block. */
class Callable {
  constructor() {
    const block = (...inputs: unknown[]): unknown => callBlock(state, inputs);
    // a function's own `name` and `length` would hide a block's
    Reflect.deleteProperty(block, 'name');
    Reflect.deleteProperty(block, 'length');
    Object.setPrototypeOf(block, new.target.prototype as object);
    const state = new BlockState(block as unknown as Block, new.target);
    addState(state);
    // biome-ignore lint/correctness/noConstructorReturn: a block is a closure with its class's prototype
    return block as unknown as this;
  }
}

/** A block is called like a function: `net(x)` runs `forward` and has its types. */
export interface Block {
  (...inputs: Parameters<this['forward']>): ReturnType<this['forward']>;
}

/**
 * The base of all layers and nets. Children and parameters are the block's own public fields.
 *
 * Fields that are blocks become children, fields that are `Parameter`s its parameters, under the fields' names; `#private` fields and plain
 * arrays cannot be seen: use `registerChild`, or a `Sequential`. The outermost call frees what was made inside it, but its results, arrays on
 * a custom block's fields and `nd.keep(x)`.
 *
 * @example
 * class Residual extends nn.Block {
 *   body = new nn.Dense(8, { activation: 'relu' });
 *   forward(x: NDArray): NDArray {
 *     return x.add(this.body(x));
 *   }
 * }
 * const net = new Residual();
 * net.initialize();
 * const y = net(nd.ones([2, 8]));
 */
export abstract class Block extends Callable {
  /** @internal The name of a class of the library, safe from minifiers. */
  static readonly kind: string = 'Block';
  /** @internal What errors and summaries take it for. */
  static readonly role: BlockRole = 'block';
  /** @internal Whether its calls compile. */
  static readonly compiles: boolean | 'chain' = false;

  /** @param alias what its name is counted by, where that is not the class's name */
  constructor(options?: BlockOptions, alias?: string) {
    super();
    const state = stateOf(this);
    checkOptions(state.className, options, ['prefix', 'params']);
    const counted = alias ?? state.className.toLowerCase();
    state.setNames(nameBlock(counted, options?.prefix, options?.params, state.className));
  }

  /** What the block computes; synchronous. Each class has its own. Call the block itself, not this. */
  abstract forward(...inputs: never[]): unknown;

  /** `dense0`: the prefix without its underscore. */
  get name(): string {
    return stateOf(this).name;
  }

  /** `dense0_`: stands in front of its parameters' names. */
  get prefix(): string {
    return stateOf(this).prefix;
  }

  /** This block's own parameters, not its children's. */
  get params(): ParameterDict {
    return ownParameters(this);
  }

  /**
   * The parameters of this block and of all below it, by full name.
   * @param select a pattern that names must match, a string from their beginning: `'.*weight'`, `'dense0_.*|dense1_.*'`
   */
  collectParams(select?: string | RegExp): ParameterDict {
    const matches = selector(select, stateOf(this).className);
    const found = new ParameterDict(ownParameters(this).prefix);
    walk(this, (block) => {
      found.update(new Map([...ownParameters(block)].filter(([name]) => matches(name))));
    });
    return found;
  }

  /**
   * Draws every parameter's first values: by `init` (an initializer or its name; Uniform(0.07) by default), or by the parameter's own. Known
   * shapes are drawn at once, the others at the first forward. What is initialized already only warns, unless `forceReinit`.
   *
   * @example
   * net.initialize('xavier', { ctx: gpu() });
   */
  initialize(init?: InitializerLike | null | InitializeOptions, options?: InitializeOptions): void {
    this.collectParams().initialize(init, options);
  }

  /**
   * Makes the names of blocks made in `fn` (synchronous), or until the `using` block ends, begin with this block's prefix.
   * Blocks made in class fields come before any scope can be open, and have names of their own.
   */
  nameScope(): Disposable;
  nameScope<R>(fn: SyncCallback<R>): R;
  nameScope<R>(fn?: () => R): R | Disposable {
    const state = stateOf(this);
    const enter = (): (() => void) => enterNames(state.scope, state.prefix === '');
    return fn === undefined ? openScoped('nameScope', enter) : runScoped('nameScope', enter, fn);
  }

  /** Adds a child that no public field holds. Its name, in files too, is `name`, else the number of children before it. */
  registerChild(block: Block, name?: string): void {
    const state = stateOf(this);
    if (!isBlock(block))
      throw new ArgumentError(`expected a block, received ${describe(block)}. Pass one made with new.`, {
        op: `${state.className}.registerChild`,
      });
    const children = childrenOf(this);
    const before = state.explicit.get(name ?? '');
    state.registrations++;
    state.explicit.set(name ?? String(children.size), {
      child: block,
      after: before?.after ?? children.size,
    });
  }

  /** Calls `fn` for all blocks below and then for this one. Returns the block. */
  apply(fn: (block: Block) => void): this {
    if (typeof fn !== 'function')
      throw new ArgumentError(
        `expected a function, received ${describe(fn)}. Write net.apply((block) => …).`,
        {
          op: `${stateOf(this).className}.apply`,
        },
      );
    const all: Block[] = [];
    // refuses a block that contains itself
    walk(this, () => undefined);
    const visit = (block: Block): void => {
      for (const child of blocksOf(block).values()) visit(child);
      all.push(block);
    };
    visit(this);
    for (const block of all) fn(block);
    return this;
  }

  /** Converts the parameters of this block and of all below it. */
  cast(dtype: DType): void {
    const wanted = checkDType(dtype, stateOf(this).className);
    for (const child of blocksOf(this).values()) child.cast(wanted);
    for (const parameter of ownParameters(this).values()) parameter.cast(wanted);
  }

  /**
   * Makes this block and all below it run compiled; `hybridize(false)` takes that back. The first call for shapes, dtypes, context and mode runs as ever and is recorded,
   * those that follow are one program, with the same results. A HybridBlock compiles with all below it, and a Sequential whose children all do; any other Block runs as ever,
   * and its children on their own. `cacheInfo()` tells what happened and why. In a bundle that names nothing of what compiles (`HybridSequential`, `compileStep` …) the compiler is
   * loaded now, and calls run as ever until it is there; `await net.warmup(…)` waits for it.
   *
   * @example
   * net.hybridize({ staticAlloc: true });
   */
  hybridize(active?: boolean | HybridizeOptions, options?: HybridizeOptions): void {
    hybridize(stateOf(this), active, options);
  }

  /**
   * Makes the programs of a hybridized net before its first call, and waits until they are ready. Nothing is computed; parameters that wait for a shape get it, and their
   * first values, as a first call would give them.
   *
   * @param shapes of the inputs: a list of shapes for an input that is a list of arrays, null for one left out
   * @throws ArgumentError for a net that is not hybridized, and for a forward that reads values; the signal's reason when it aborts
   * @example
   * net.hybridize();
   * await net.warmup([[64, 1, 28, 28]], { training: true });
   */
  async warmup(shapes: readonly WarmupShape[], options?: WarmupOptions): Promise<void> {
    await warmUp(stateOf(this), shapes, options);
  }

  /** What has become of `hybridize()`: how many calls a program served, what programs there are, and why the last one was made or calls run eagerly. */
  cacheInfo(): CacheInfo {
    return cacheInfoOf(stateOf(this));
  }

  /**
   * What one call does, in inference mode, as text: a line for each operation, then one for each kernel of the compiled program. Nothing is computed.
   * @param inputs arrays, whose values do not count, or shapes of float32 ones
   * @throws ArgumentError where a bundle has not loaded the compiler; see `hybridize`
   */
  graph(...inputs: LookInput[]): string {
    return graphOf(this, inputs);
  }

  /**
   * Prints, and returns, a table of the layers that one forward of the inputs runs: their outputs' shapes and their numbers of parameters.
   * @throws NotInitializedError before `initialize`
   */
  summary(...inputs: Parameters<this['forward']>): string {
    return summarize(this, inputs);
  }

  /** Calls `hook(block, inputs, output)` after every forward of this block. Arrays it is given are not freed by the call. */
  registerForwardHook(hook: ForwardHook<this, InputsOf<this>, ReturnType<this['forward']>>): HookHandle {
    return addHook(stateOf(this).hooks, hook as unknown as AnyHook, stateOf(this).className);
  }

  /** Calls `hook(block, inputs)` before every forward of this block. Arrays it is given are not freed by the call. */
  registerForwardPreHook(hook: ForwardPreHook<this, InputsOf<this>>): HookHandle {
    return addHook(stateOf(this).preHooks, hook as unknown as AnyPreHook, stateOf(this).className);
  }

  /**
   * The parameters' values as a file, under the names of the fields that lead to them (`0.weight`, `blk.1.bias`): MXNet's `.params`, byte for
   * byte as MXNet writes it, or safetensors. Values are those at the call.
   */
  async saveParameters(options?: SaveOptions): Promise<Uint8Array<ArrayBuffer>> {
    return saveArrays(`${stateOf(this).className}.saveParameters`, structureNames(this), options);
  }

  /**
   * Loads values from a `.params` or safetensors file; the names in it may be paths (`0.weight`), full names (`dense0_weight`), with or without
   * `arg:`/`aux:`. Parameters need not be initialized. A load that fails changes nothing.
   *
   * @throws LoadError for a source that cannot be read, and for missing or extra names, all listed; ShapeError and DTypeError where values do
   * not fit; FormatError for bytes that are no such file
   * @example
   * await net.loadParameters('lenet.params', { ctx: gpu() });
   */
  async loadParameters(source: Source, options?: LoadOptions): Promise<void> {
    const op = `${stateOf(this).className}.loadParameters`;
    await loadArrays(op, source, [structureNames(this), this.collectParams()], this.prefix, options);
  }

  /** Sets the gradients of all parameters to 0. */
  zeroGrad(): void {
    this.collectParams().zeroGrad();
  }

  /** Moves all parameters to another context, or to several. */
  async resetCtx(ctx: Context | readonly Context[]): Promise<void> {
    await this.collectParams().resetCtx(ctx);
  }

  /**
   * Fills in the shapes that wait for a first batch, and with them draws what waits. A block with waiting parameters of its own overrides it and
   * sets their `shape`; for all others it runs one forward in inference mode and frees what comes out.
   */
  inferShape(...inputs: unknown[]): void {
    const state = stateOf(this);
    // asked by the call itself: this block has nothing to tell
    if (state.inferring) return;
    quietInference(() =>
      runInScope(
        () => `inferShape of ${state.name}`,
        true,
        () => {
          callBlock(state, inputs);
        },
      ),
    );
  }

  /** Frees the parameters of this block and of all below it. `initialize` or `loadParameters` brings it back to life. */
  dispose(): void {
    for (const parameter of this.collectParams().values()) internals.release(parameter);
    walk(this, (block) => stateOf(block).compiled?.dispose());
  }

  /** `{ using net = … }` disposes at the end of the block. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal The name in files of a field's parameter. */
  fileName(field: string): string {
    return field;
  }

  /** Gluon's repr: the class, and a line for each child. */
  override toString(): string {
    const lines = [...childrenOf(this)].map(
      ([name, child]) => `  (${name}): ${indentRest(String(child), 2)}`,
    );
    return `${stateOf(this).className}(\n${lines.join('\n')}\n)`;
  }

  /** What `console.log` shows in Node. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

/** A block whose forward is made of array operations alone, so that it can be compiled. */
export abstract class HybridBlock extends Block {
  static override readonly kind: string = 'HybridBlock';
  static override readonly compiles: boolean | 'chain' = true;
}

function selector(select: string | RegExp | undefined, op: string): (name: string) => boolean {
  if (select === undefined || select === null) return () => true;
  if (select instanceof RegExp) {
    // without the flags that make a search begin where the last one ended
    const pattern = new RegExp(select.source, select.flags.replace(/[gy]/g, ''));
    return (name) => pattern.test(name);
  }
  if (typeof select !== 'string')
    throw new ArgumentError(`expected a pattern, received ${describe(select)}. Pass a string or a RegExp.`, {
      op: `${op}.collectParams`,
    });
  try {
    const pattern = new RegExp(`^(?:${select})`);
    return (name) => pattern.test(name);
  } catch (cause) {
    throw new ArgumentError(
      `expected a regular expression, received ${JSON.stringify(select)}. Check its brackets.`,
      { op: `${op}.collectParams`, cause },
    );
  }
}

/** Children with all their methods: `Block` makes every block there is. */
function blocksOf(block: Block): Map<string, Block> {
  return childrenOf(block) as Map<string, Block>;
}

function addHook<F>(hooks: Hook<F>[], run: F, op: string): HookHandle {
  if (typeof run !== 'function')
    throw new ArgumentError(
      `expected a function as hook, received ${describe(run)}. Pass (block, inputs) => …`,
      {
        op,
      },
    );
  const hook: Hook<F> = { run, keeps: true };
  hooks.push(hook);
  const detach = (): void => {
    const at = hooks.indexOf(hook);
    if (at >= 0) hooks.splice(at, 1);
  };
  return { detach, [Symbol.dispose]: detach };
}
