// The Trainer: which parameters an optimizer updates, and when. Checks come first and for all of them, so that a step that fails changes nothing.
import { adoptStorage, type NDArray } from '../array/ndarray.ts';
import { ArgumentError } from '../core/errors.ts';
import { describe, sameShape } from '../core/shape.ts';
import type { ReadOptions, Source } from '../formats/source.ts';
import { booleanArg, readArgs } from '../ops/args.ts';
import { slots } from '../ops/invoke.ts';
import { applyUpdate, checkUpdate, recordUpdate } from './optimizer/apply.ts';
import { Arenas, groupsOf, sameScalars, type UpdateItem } from './optimizer/arena.ts';
import { create, type OptimizerName, type OptionsOf } from './optimizer/create.ts';
import { Optimizer } from './optimizer/optimizer.ts';
import { Turn } from './optimizer/turn.ts';
import { Parameter } from './parameter.ts';
import { offTape } from './quiet.ts';
import { freshOnes, isSame, type Replica, replicasOf, sumOverContexts } from './replicas.ts';
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

/** An update of one copy, with what came before it. */
interface Item extends UpdateItem {
  /** Its place among the copies of the step. */
  readonly at: number;
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
    slots.trace?.passing(
      'setLearningRate',
      'learning rate to be set',
      'Call it before, or give the Trainer an lrScheduler.',
    );
    this.#optimizer.setLearningRate(rate);
  }

  /**
   * One step: sums gradients over contexts, divides them by the batch size, updates every parameter.
   *
   * @throws AutogradError, naming the parameter, for a gradient that backward has not written since the last step, unless `ignoreStaleGrad`;
   * NotInitializedError or DeferredInitializationError for parameters without values. Nothing has changed then.
   */
  step(batchSize: number, options?: StepOptions | boolean): void {
    this.#step('Trainer.step', batchSize, options, true);
  }

  /** Sums each parameter's gradients over its contexts, so that all have the sum; `update` does the rest. For clipping, say, between the two. */
  allreduceGrads(): void {
    offTape(() => sumOverContexts(replicasOf(this.#parameters)));
  }

  /** A step without `allreduceGrads`, which you called before. */
  update(batchSize: number, options?: StepOptions | boolean): void {
    this.#step('Trainer.update', batchSize, options, false);
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
    for (const [index, copies] of this.#states) {
      const loaded = fresh.get(index);
      // compiled steps know states by their handles, so these stay where they can
      if (loaded === undefined || !replace(copies, loaded)) dispose(copies);
      else fresh.set(index, copies);
    }
    this.#states.clear();
    for (const [index, copies] of fresh) this.#states.set(index, copies);
    this.#optimizer.progress = file.progress;
  }

  #step(op: string, batchSize: number, options: StepOptions | boolean | undefined, sums: boolean): void {
    if (typeof batchSize !== 'number' || !(batchSize > 0))
      throw new ArgumentError(
        `expected a batch size > 0, received ${describe(batchSize)}. Pass the number of samples: x.shape[0].`,
        { op },
      );
    const values = readArgs(op, [options], ['ignoreStaleGrad']);
    const ignore = booleanArg(op, values, 'ignoreStaleGrad', false);
    const all = replicasOf(this.#parameters);
    const replicas = freshOnes(op, all, ignore);
    const items = replicas.map((replica, at): Item => {
      const { parameter, weight } = replica;
      const grad = parameter.grad(weight.context);
      const item = { at, weight, grad, states: this.#statesOf(replica), scalars: [] };
      checkUpdate(parameter.name, item);
      return item;
    });
    const turn = new Turn(
      this.#optimizer,
      replicas.map(({ index, parameter }) => ({ index, multipliers: parameter })),
      this.#scale / batchSize,
    );
    turn.run();
    const { rule } = this.#optimizer;
    const due = items.map((item): Item => ({ ...item, scalars: turn.scalars[item.at] as readonly number[] }));
    offTape(() => {
      try {
        if (sums) sumOverContexts(replicas);
      } catch (error) {
        turn.undo();
        throw error;
      }
      if (slots.trace === null) applyUpdate(rule, due, this.#arenas);
      else recordUpdate(rule, due, this.#arenas, ({ at }) => turn.scalars[at] as readonly number[]);
    });
    for (const { variable } of replicas) variable.fresh = false;
    if (slots.trace !== null) this.#followUp(op, ignore, all, replicas, turn, groupsOf(rule, due));
  }

  /** Tells a recorder what a replay of this step has to do on the host. */
  #followUp(
    op: string,
    ignore: boolean,
    all: readonly Replica[],
    replicas: readonly Replica[],
    turn: Turn,
    groups: readonly (readonly Item[])[],
  ): void {
    slots.trace?.effect(
      () => {
        if (!isSame(all, this.#parameters)) return false;
        const due = freshOnes(op, all, ignore);
        if (due.length !== replicas.length || due.some((replica, i) => replica !== replicas[i])) return false;
        turn.run();
        const { scalars } = turn;
        const fits = groups.every(([first, ...others]) =>
          others.every(({ at }) => sameScalars(scalars[at] ?? [], scalars[first?.at ?? 0] ?? [])),
        );
        if (!fits) {
          turn.undo();
          return false;
        }
        for (const { variable } of replicas) variable.fresh = false;
        return true;
      },
      () => {
        turn.undo();
        for (const { variable } of replicas) variable.fresh = true;
      },
    );
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

/** Gives states that are there the values of others. False where they differ in number or kind: nothing has changed then. */
function replace(copies: readonly (readonly NDArray[])[], by: readonly (readonly NDArray[])[]): boolean {
  const [before, after] = [copies.flat(), by.flat()];
  const fits =
    before.length === after.length &&
    before.every((x, i) => {
      const y = after[i];
      return y !== undefined && x.context === y.context && x.dtype === y.dtype && sameShape(x.shape, y.shape);
    });
  if (!fits) return false;
  before.forEach((x, i) => {
    adoptStorage(x, after[i] as NDArray);
  });
  dispose(by);
  return true;
}
