// Parameters by full name, with a prefix for those it makes and another dictionary to share with.
import type { Context } from '../core/context.ts';
import { ArgumentError } from '../core/errors.ts';
import { shapeText } from '../core/shape.ts';
import type { Source } from '../formats/source.ts';
import { booleanArg, checkOptions, readArgs } from '../ops/args.ts';
import type { LoadOptions, SaveOptions } from './files.ts';
import { loadArrays, saveArrays } from './files.ts';
import { type Contexts, toContexts } from './hostArray.ts';
import { type InitializerLike, toInitializer } from './initByName.ts';
import { internals, Parameter, type ParameterOptions, resetContexts } from './parameter.ts';
import { agree, PARAMETER_OPTIONS, warnOfValues } from './parameterOptions.ts';
import { indentRest } from './text.ts';

/** Options of `initialize`. */
export interface InitializeOptions {
  /** The initializer of parameters without one of their own, or its name; Uniform(0.07) by default. */
  readonly init?: InitializerLike | null | undefined;
  /** Where the values live, one context or several; the current one by default. */
  readonly ctx?: Contexts | undefined;
  /** Tells each parameter's initializer on the console. */
  readonly verbose?: boolean | undefined;
  /** Draws anew what is initialized already; otherwise that is left alone, with a warning. */
  readonly forceReinit?: boolean | undefined;
}

/**
 * A `Map` from full name to `Parameter`, with Gluon's methods besides.
 *
 * @example
 * const params = net.collectParams('.*weight');
 * params.setattr('lrMult', 0.1);
 * for (const [name, parameter] of params) console.log(name, parameter.shape);
 */
export class ParameterDict extends Map<string, Parameter> {
  /** Stands in front of the names that `get` makes. */
  readonly prefix: string;
  readonly #shared: ParameterDict | undefined;

  constructor(prefix = '', shared?: ParameterDict) {
    super();
    this.prefix = prefix;
    this.#shared = shared;
  }

  /** @internal What child blocks look names up in. */
  get shared(): ParameterDict | undefined {
    return this.#shared;
  }

  /** `Map`'s: the parameter of that full name. */
  override get(name: string): Parameter | undefined;
  /** The parameter `prefix + name`, made if there is none; one that exists must agree with the options. */
  override get(name: string, options: ParameterOptions): Parameter;
  override get(name: string, options?: ParameterOptions): Parameter | undefined {
    if (options === undefined) return super.get(name);
    checkOptions('params.get', options, PARAMETER_OPTIONS);
    const full = this.prefix + name;
    const found = this.#find(full);
    if (found === undefined) {
      const made = new Parameter(full, options);
      internals.adopt(made, full, this.prefix.replace(/_$/, ''));
      this.set(full, made);
      return made;
    }
    this.set(full, found);
    this.#agree(found, options);
    return found;
  }

  /** Adds all parameters of another dictionary. @throws ArgumentError where a name stands for another parameter here */
  update(other: ReadonlyMap<string, Parameter>): void {
    for (const [name, parameter] of other) {
      const own = super.get(name);
      if (own !== undefined && own !== parameter)
        throw new ArgumentError(
          `expected one parameter of the name ${name}, received two. Give their blocks different prefixes.`,
          { op: 'ParameterDict.update' },
        );
    }
    for (const [name, parameter] of other) this.set(name, parameter);
  }

  /** Initializes every parameter: known shapes at once, the others at the first forward. See `Block.initialize`. */
  initialize(init?: InitializerLike | null | InitializeOptions, options?: InitializeOptions): void {
    const values = readArgs(
      'initialize',
      [init ?? undefined, options],
      ['init'],
      ['ctx', 'verbose', 'forceReinit'],
    );
    const chosen = toInitializer(values['init'] ?? 'uniform', 'initialize');
    const contexts = toContexts(values['ctx'] as Contexts | undefined, 'initialize');
    const verbose = booleanArg('initialize', values, 'verbose', false);
    const again = booleanArg('initialize', values, 'forceReinit', false);
    const left: string[] = [];
    const done: Parameter[] = [];
    try {
      for (const [name, parameter] of this) {
        if (!again && internals.arraysOf(parameter).length > 0) {
          left.push(name);
          continue;
        }
        parameter.initialize({ defaultInit: chosen, ctx: contexts, forceReinit: again });
        done.push(parameter);
        if (verbose) {
          const used = toInitializer(parameter.init ?? chosen, 'initialize');
          const waits = internals.isDeferred(parameter) ? ', at the first forward' : '';
          console.log(`Initialized ${name} as ${used.constructor.name}${waits}`);
        }
      }
    } catch (error) {
      // one that cannot be drawn leaves none of the others behind
      if (!again) for (const parameter of done) internals.release(parameter);
      throw error;
    }
    if (left.length > 0) warnOfValues(left.join(', '));
  }

  /** Sets every gradient to 0. */
  zeroGrad(): void {
    for (const parameter of this.values()) parameter.zeroGrad();
  }

  /** Moves all parameters to other contexts; if one cannot be moved, none is. */
  async resetCtx(ctx: Contexts): Promise<void> {
    await resetContexts([...this.values()], ctx, 'resetCtx');
  }

  /** Names and parameters; the same as `entries`. */
  items(): MapIterator<[string, Parameter]> {
    return this.entries();
  }

  /** All contexts that some parameter lives on. */
  listCtx(): Context[] {
    return [...new Set([...this.values()].flatMap((parameter) => parameter.listCtx()))];
  }

  /** Sets a property of every parameter: `params.setattr('gradReq', 'null')`. */
  setattr<K extends 'gradReq' | 'lrMult' | 'wdMult' | 'init'>(name: K, value: Parameter[K]): void {
    checkOptions('setattr', { [name]: value }, ['gradReq', 'lrMult', 'wdMult', 'init']);
    for (const parameter of this.values()) parameter[name] = value;
  }

  /** The values as a `.params` or safetensors file, by full name (without `stripPrefix` where a name begins so). */
  async save(
    options?: SaveOptions & { readonly stripPrefix?: string | undefined },
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { stripPrefix, ...rest } = options ?? {};
    return saveArrays('ParameterDict.save', this, rest, stripPrefix);
  }

  /** Loads values by full name, `restorePrefix` put in front of the file's names. */
  async load(
    source: Source,
    options?: LoadOptions & { readonly restorePrefix?: string | undefined },
  ): Promise<void> {
    const { restorePrefix = '', ...rest } = options ?? {};
    await loadArrays('ParameterDict.load', source, [this], restorePrefix, rest);
  }

  /** The prefix, and a line for each parameter. */
  override toString(): string {
    const lines = [...this.values()].map((parameter) => `  ${indentRest(String(parameter), 2)}`);
    return `${this.prefix === '' ? '' : `${this.prefix} `}(\n${lines.join('\n')}\n)`;
  }

  /** What `console.log` shows in Node. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }

  #find(full: string): Parameter | undefined {
    const shared = this.#shared;
    return super.get(full) ?? (shared === undefined ? undefined : shared.#find(full));
  }

  /** Fills an existing parameter's unknown extents in, or throws where it differs from what is asked for. */
  #agree(found: Parameter, options: ParameterOptions): void {
    const refuse = (what: string, wanted: string, has: string): never => {
      throw new ArgumentError(
        `expected ${found.name} with ${what} ${wanted}, received the shared one with ${has}. Make the two blocks agree, or do not share.`,
        { op: 'params.get' },
      );
    };
    const { shape, dtype } = options;
    if (dtype !== undefined && dtype !== found.dtype) refuse('dtype', dtype, found.dtype);
    if (shape === undefined) return;
    const wanted = typeof shape === 'number' ? [shape] : shape;
    const has = found.shape;
    if (!agree(wanted, has)) refuse('shape', shapeText(wanted), shapeText(has));
    if (has.includes(0)) found.shape = wanted;
  }
}
