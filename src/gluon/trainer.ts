// The Trainer: which parameters an optimizer updates, and when. Checks come first and for all of them, so that a step that fails changes nothing.
import { bodyOf, type NDArray, runInScope } from '../array/ndarray.ts';
import { placeOf, type Variable } from '../autograd/tape.ts';
import { ArgumentError, AutogradError, ContextError } from '../core/errors.ts';
import { describe, stridesOf } from '../core/shape.ts';
import type { ReadOptions, Source } from '../formats/source.ts';
import { asInContext } from '../nd/transfer.ts';
import { booleanArg, readArgs } from '../ops/args.ts';
import { add } from '../ops/binary.ts';
import { setStridedSlice } from '../ops/slices.ts';
import { applyUpdate, checkUpdate } from './optimizer/apply.ts';
import { Arenas, type UpdateItem } from './optimizer/arena.ts';
import { create, type OptimizerName, type OptionsOf } from './optimizer/create.ts';
import { Optimizer } from './optimizer/optimizer.ts';
import { Parameter } from './parameter.ts';
import { unrecorded } from './quiet.ts';
import { readStates, type StateFile, writeStates } from './trainerStates.ts';

/** What stands after a Trainer's parameters: an optimizer's name and its options, or an optimizer. */
export type OptimizerArguments =
  | { readonly [N in OptimizerName]: [optimizer: N, options?: OptionsOf<N>] }[OptimizerName]
  | [optimizer: Optimizer];

/** Options of `step` and `update`. */
export interface StepOptions {
  /** Leaves parameters whose gradient is stale as they are, instead of throwing. */
  readonly ignoreStaleGrad?: boolean | undefined;
}

/** One copy of a parameter: its place among the parameters, its arrays on one context. */
interface Replica {
  readonly parameter: Parameter;
  readonly index: number;
  /** Which of the parameter's contexts. */
  readonly copy: number;
  readonly weight: NDArray;
  readonly variable: Variable;
}

/**
 * Updates parameters by an optimizer.
 *
 * @example
 * const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.1 });
 * const loss = autograd.record(() => lossFn(net(x), y));
 * loss.backward();
 * trainer.step(x.shape[0]);
 */
export class Trainer {
  readonly #parameters: readonly Parameter[];
  readonly #optimizer: Optimizer;
  /** The optimizer's own factor, which steps divide by the batch size. */
  readonly #scale: number;
  /** States by parameter, then context. */
  readonly #states = new Map<number, NDArray[][]>();
  /** Where parameters of one GPU lie side by side, so that one kernel updates them all. */
  readonly #arenas = new Arenas();

  /**
   * @param params `net.collectParams()`, or a list of parameters
   * @param optimizer a name (with its options), or an optimizer
   */
  constructor(
    params: ReadonlyMap<string, Parameter> | Iterable<Parameter>,
    ...optimizer: OptimizerArguments
  ) {
    const [chosen, options] = optimizer;
    this.#parameters = parametersOf(params);
    if (chosen instanceof Optimizer) {
      if (options !== undefined)
        throw new ArgumentError(
          'expected no options beside an optimizer object, received some. Give them to the optimizer, or pass its name.',
          { op: 'Trainer' },
        );
      this.#optimizer = chosen;
    } else this.#optimizer = create(chosen, options as never);
    this.#scale = this.#optimizer.rescaleGrad;
  }

  /** The optimizer. */
  get optimizer(): Optimizer {
    return this.#optimizer;
  }

  /** The current learning rate. */
  get learningRate(): number {
    return this.#optimizer.learningRate;
  }

  /** Sets the learning rate. @throws ArgumentError where a scheduler gives it */
  setLearningRate(rate: number): void {
    this.#optimizer.setLearningRate(rate);
  }

  /**
   * One step: sums gradients over contexts, divides them by the batch size, updates every parameter.
   *
   * @throws AutogradError, naming the parameter, for a gradient that backward has not written since the last step, unless `ignoreStaleGrad`;
   * NotInitializedError or DeferredInitializationError for parameters without values. Nothing has changed then.
   */
  step(batchSize: number, options?: StepOptions | boolean): void {
    const replicas = this.#replicas('step', batchSize, options);
    unrecorded(() => {
      this.#sumOverContexts(replicas);
      this.#update(replicas, batchSize);
    });
  }

  /** Sums each parameter's gradients over its contexts, so that all have the sum; `update` does the rest. For clipping, say, between the two. */
  allreduceGrads(): void {
    unrecorded(() => this.#sumOverContexts(this.#all()));
  }

  /** A step without `allreduceGrads`, which you called before. */
  update(batchSize: number, options?: StepOptions | boolean): void {
    const replicas = this.#replicas('update', batchSize, options);
    unrecorded(() => this.#update(replicas, batchSize));
  }

  /** The optimizer's states, counts and learning rate as bytes, as they are at the call. */
  async saveStates(): Promise<Uint8Array<ArrayBuffer>> {
    const { name, rule, progress } = this.#optimizer;
    const arrays = new Map<string, NDArray>();
    for (const [index, copies] of this.#states)
      copies[0]?.forEach((array, slot) => {
        arrays.set(`${index}.${rule.states[slot] as string}`, array);
      });
    const names = this.#parameters.map((p) => p.name);
    return writeStates('Trainer.saveStates', { optimizer: name, ...progress, parameters: names }, arrays);
  }

  /**
   * Restores what `saveStates` gave, for a Trainer over the same parameters and with the same optimizer. A load that fails changes nothing.
   * @throws LoadError where the bytes belong to another optimizer or other parameters; FormatError for bytes that are no such file
   */
  async loadStates(source: Source, options?: Pick<ReadOptions, 'signal' | 'onProgress'>): Promise<void> {
    const op = 'Trainer.loadStates';
    const { name, rule } = this.#optimizer;
    const wanted = { optimizer: name, states: rule.states, parameters: this.#parameters };
    const file: StateFile = await readStates(op, source, wanted, options);
    const fresh = new Map<number, NDArray[][]>();
    try {
      for (const [index, make] of file.states) fresh.set(index, make());
    } catch (error) {
      for (const copies of fresh.values()) dispose(copies);
      throw error;
    }
    for (const copies of this.#states.values()) dispose(copies);
    this.#states.clear();
    for (const [index, copies] of fresh) this.#states.set(index, copies);
    this.#optimizer.progress = file.progress;
  }

  /** Every copy of every parameter that has a gradient. @throws for parameters without values */
  #all(): Replica[] {
    return this.#parameters.flatMap((parameter, index): Replica[] => {
      if (parameter.gradReq === 'null') return [];
      return parameter.listData().map((weight, copy) => {
        const variable = placeOf(weight)?.variable;
        if (variable == null) throw new Error(`${parameter.name} has no gradient`);
        return { parameter, index, copy, weight, variable };
      });
    });
  }

  /** What a step shall update, checked. */
  #replicas(op: string, batchSize: number, options: StepOptions | boolean | undefined): Replica[] {
    const name = `Trainer.${op}`;
    if (typeof batchSize !== 'number' || !(batchSize > 0))
      throw new ArgumentError(
        `expected a batch size > 0, received ${describe(batchSize)}. Pass the number of samples: x.shape[0].`,
        { op: name },
      );
    const values = readArgs(name, [options], ['ignoreStaleGrad']);
    const ignore = booleanArg(name, values, 'ignoreStaleGrad', false);
    const all = this.#all();
    const fresh = all.filter(({ variable }) => variable.fresh);
    if (fresh.length < all.length && !ignore) throw staleError(name, all);
    return fresh;
  }

  #sumOverContexts(replicas: readonly Replica[]): void {
    const groups = new Map<number, Replica[]>();
    for (const replica of replicas) {
      const group = groups.get(replica.index);
      if (group === undefined) groups.set(replica.index, [replica]);
      else group.push(replica);
    }
    for (const copies of groups.values()) {
      if (copies.length < 2) continue;
      const gradients = copies.map(({ parameter, weight }) => parameter.grad(weight.context));
      runInScope(
        () => 'allreduceGrads',
        true,
        () => {
          const [first, ...others] = gradients as [NDArray, ...NDArray[]];
          const moved = (g: NDArray, to: NDArray): NDArray => move(g, to, copies[0]?.parameter.name ?? '');
          const sum = others.reduce((total: NDArray, g) => add(total, moved(g, total)), first);
          for (const gradient of gradients)
            setStridedSlice(gradient, moved(sum, gradient), gradient.shape, 0, stridesOf(gradient.shape));
        },
      );
    }
  }

  #update(replicas: readonly Replica[], batchSize: number): void {
    const optimizer = this.#optimizer;
    const items = replicas.map((replica): UpdateItem & { readonly replica: Replica } => {
      const { parameter, weight } = replica;
      const grad = parameter.grad(weight.context);
      const item = { replica, weight, grad, states: this.#statesOf(replica), scalars: [] };
      checkUpdate(parameter.name, item);
      return item;
    });
    optimizer.rescaleGrad = this.#scale / batchSize;
    for (const index of new Set(replicas.map((r) => r.index))) optimizer.count(index);
    applyUpdate(
      optimizer.rule,
      items.map((item) => ({
        ...item,
        scalars: optimizer.scalars(item.replica.index, item.replica.parameter),
      })),
      this.#arenas,
    );
    for (const { variable } of replicas) variable.fresh = false;
  }

  /** The states of one copy, made at its first update; they follow it to another context where they can. */
  #statesOf({ index, copy, weight }: Replica): readonly NDArray[] {
    let copies = this.#states.get(index);
    if (copies === undefined) {
      copies = [];
      this.#states.set(index, copies);
    }
    const states = copies[copy];
    if (states !== undefined) return states;
    const made = this.#optimizer.createState(index, weight);
    copies[copy] = made;
    return made;
  }
}

function dispose(copies: readonly (readonly NDArray[])[]): void {
  for (const states of copies) for (const array of states) array.dispose();
}

function parametersOf(params: ReadonlyMap<string, Parameter> | Iterable<Parameter>): Parameter[] {
  const given: unknown = params;
  const list: unknown[] =
    given instanceof Map
      ? [...given.values()]
      : Array.isArray(given) || given instanceof Set
        ? [...(given as Iterable<unknown>)]
        : [given];
  const wrong = list.find((p) => !(p instanceof Parameter));
  if (list.length === 0 || wrong !== undefined)
    throw new ArgumentError(
      `expected parameters, received ${list.length === 0 ? 'none' : describe(wrong)}. Pass net.collectParams(), or a list of Parameters.`,
      { op: 'Trainer' },
    );
  return [...new Set(list as Parameter[])];
}

function staleError(op: string, all: readonly Replica[]): AutogradError {
  const stale = [...new Set(all.filter((r) => !r.variable.fresh).map((r) => r.parameter.name))];
  const contexts = new Set(all.filter((r) => !r.variable.fresh).map((r) => String(r.weight.context)));
  const names =
    stale.length > 6 ? `${stale.slice(0, 6).join(', ')} and ${stale.length - 6} more` : stale.join(', ');
  const everything = stale.length === new Set(all.map((r) => r.index)).size;
  return new AutogradError(
    `expected gradients that backward wrote since the last step, received stale ones of ${names} on ${[...contexts].join(', ')}. ` +
      (everything
        ? 'Call loss.backward() on what was computed inside autograd.record(…) before every step.'
        : 'The loss did not depend on them: check the forward pass, or pass { ignoreStaleGrad: true } to leave them as they are.'),
    { op },
  );
}

/** A gradient where another one is. */
function move(gradient: NDArray, to: NDArray, name: string): NDArray {
  if (bodyOf(gradient, name).device === bodyOf(to, name).device) return gradient;
  if (gradient.context.deviceType === 'gpu')
    throw new ContextError(
      `expected gradients on contexts of one device, received ${gradient.context} and ${to.context}: a sum over both would have to wait for the GPU. Initialize the net on one of them.`,
      { op: name },
    );
  return asInContext(gradient, to.context);
}
