// The Trainer: which parameters an optimizer updates, and when. Checks come first and for all of them, so that a step that fails changes nothing.
import type { NDArray } from '../array/ndarray.ts';
import { ArgumentError } from '../core/errors.ts';
import { describe } from '../core/shape.ts';
import type { ReadOptions, Source } from '../formats/source.ts';
import { booleanArg, readArgs } from '../ops/args.ts';
import { slots } from '../ops/invoke.ts';
import { checkUpdate, runStep } from './optimizer/apply.ts';
import { create, type OptimizerName, type OptionsOf } from './optimizer/create.ts';
import { Optimizer } from './optimizer/optimizer.ts';
import type { Step } from './optimizer/step.ts';
import { Turn } from './optimizer/turn.ts';
import { Parameter } from './parameter.ts';
import { offTape } from './quiet.ts';
import { freshOnes, isSame, type Replica, replicasOf, sumOverContexts } from './replicas.ts';
import { readStates, type TrainerState, writeStates } from './trainerStates.ts';

/** What stands after a Trainer's parameters: an optimizer's name and its options, or an optimizer. */
export type OptimizerArguments =
  | { readonly [N in OptimizerName]: [optimizer: N, options?: OptionsOf<N>] }[OptimizerName]
  | [optimizer: Optimizer];

/** Options of `step` and `update`. */
export interface StepOptions {
  /** Leaves parameters whose gradient is stale as they are, instead of throwing. */
  readonly ignoreStaleGrad?: boolean | undefined;
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
  readonly #memory: Step['memory'] = { arenas: null };

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
    return writeStates(this.#state);
  }

  /**
   * Restores what `saveStates` gave, for a Trainer over the same parameters and with the same optimizer. A load that fails changes nothing.
   * @throws LoadError where the bytes belong to another optimizer or other parameters; FormatError for bytes that are no such file
   */
  async loadStates(source: Source, options?: Pick<ReadOptions, 'signal' | 'onProgress'>): Promise<void> {
    await readStates(this.#state, source, options);
  }

  get #state(): TrainerState {
    return { optimizer: this.#optimizer, parameters: this.#parameters, states: this.#states };
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
    const arrays = replicas.map((replica) => {
      const { parameter, weight } = replica;
      const item = { weight, grad: parameter.grad(weight.context), states: this.#statesOf(replica) };
      checkUpdate(parameter.name, item);
      return item;
    });
    const turn = new Turn(
      this.#optimizer,
      replicas.map(({ index, parameter }) => ({ index, multipliers: parameter })),
      this.#scale / batchSize,
    );
    turn.run();
    offTape(() => {
      try {
        if (sums) sumOverContexts(replicas);
      } catch (error) {
        turn.undo();
        throw error;
      }
      runStep({
        rule: this.#optimizer.rule,
        arrays,
        turn,
        memory: this.#memory,
        isDue: () => {
          if (!isSame(all, this.#parameters)) return false;
          const due = freshOnes(op, all, ignore);
          return due.length === replicas.length && due.every((replica, i) => replica === replicas[i]);
        },
        settle(used) {
          for (const { variable } of replicas) variable.fresh = !used;
        },
      });
    });
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
