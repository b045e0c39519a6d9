// From heads back to variables: calls in the reverse of their order, each once, what is no longer needed freed on the way.
import { adoptStorage, bodyOf, type NDArray, runInScope, setOwner, setTape } from '../array/ndarray.ts';
import { currentScope, outsideScopes } from '../array/scope.ts';
import type { Context } from '../core/context.ts';
import { AutogradError, ContextError, ShapeError } from '../core/errors.ts';
import { sameShape, shapeText, stridesOf } from '../core/shape.ts';
import { iadd } from '../ops/binary.ts';
import { ones, zeros } from '../ops/creation.ts';
import { slots } from '../ops/invoke.ts';
import { astype, copy } from '../ops/moves.ts';
import type { GradContext, GradFunctions } from '../ops/op.ts';
import { setStridedSlice } from '../ops/slices.ts';
import { plainFunctions } from './functions.ts';
import { isTraining, setRecording, setTraining } from './mode.ts';
import { Sums } from './sums.ts';
import {
  checkUnchanged,
  fork,
  leave,
  type Place,
  placeOf,
  release,
  type TapeNode,
  type Variable,
} from './tape.ts';

/** Calls reached from the heads, the last first. Does not go past `ends`. */
function reachable(heads: readonly Place[], ends: ReadonlySet<TapeNode>): TapeNode[] {
  const found = new Set<TapeNode>();
  const stack = heads.flatMap((h) => (h.node === null ? [] : [h.node]));
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    if (ends.has(node)) continue;
    for (const source of node.sources)
      if (source?.node != null && !found.has(source.node)) stack.push(source.node);
  }
  return [...found].sort((a, b) => b.id - a.id);
}

/** Where gradients are wanted: by all variables, or by some places only. */
class Wanted {
  readonly #variables: Set<Variable> | null = null;
  readonly #nodes: Set<TapeNode> | null = null;

  constructor(nodes: readonly TapeNode[], only: readonly Place[] | null) {
    if (only === null) return;
    this.#variables = new Set(only.flatMap((p) => (p.variable === null ? [] : [p.variable])));
    this.#nodes = new Set(only.flatMap((p) => (p.node === null ? [] : [p.node])));
    // sources stand after the calls they serve
    for (let i = nodes.length - 1; i >= 0; i--) {
      const node = nodes[i] as TapeNode;
      if (node.sources.some((s) => this.by(s))) this.#nodes.add(node);
    }
  }

  /** Whether a gradient that flows to a source gets anywhere. */
  by(source: Place | null): boolean {
    if (source === null) return false;
    if (source.variable !== null)
      return this.#variables?.has(source.variable) ?? source.variable.gradReq !== 'null';
    return source.node !== null && (this.#nodes?.has(source.node) ?? true);
  }
}

const f: GradFunctions = { ...plainFunctions, through };

/** What a gradient may ask for, over one call. */
class Call implements GradContext<unknown> {
  readonly f = f;
  readonly attrs: unknown;
  readonly count: number;
  readonly #node: TapeNode;
  readonly #above: readonly (NDArray | null)[];
  readonly #wanted: readonly boolean[];

  constructor(node: TapeNode, above: readonly (NDArray | null)[], wanted: readonly boolean[]) {
    this.#node = node;
    this.#above = above;
    this.#wanted = wanted;
    this.attrs = node.attrs;
    this.count = node.sources.length;
  }

  #kept(list: readonly (NDArray | null)[], i: number, what: string): NDArray {
    const array = list[i];
    if (array === null || array === undefined)
      throw new Error(
        `the gradient of ${this.#node.op.name} reads ${what} ${i}, which its record does not keep`,
      );
    checkUnchanged(array, this.#node.op.name);
    return array;
  }

  x(i: number): NDArray {
    return this.#kept(this.#node.inputs, i, 'input');
  }

  y(i = 0): NDArray {
    return this.#kept(this.#node.outputs, i, 'output');
  }

  dy(i = 0): NDArray {
    const given = this.#above[i];
    if (given != null) return given;
    const type = this.#node.outputTypes[i];
    const like = this.#above.find((a) => a != null);
    if (type === undefined || like == null) throw new Error(`${this.#node.op.name} has no output ${i}`);
    return zeros(type.shape, { ctx: like.context, dtype: type.dtype });
  }

  given(i: number): boolean {
    return this.#above[i] != null;
  }

  xType(i: number): NonNullable<TapeNode['inputTypes'][number]> {
    const type = this.#node.inputTypes[i];
    if (type === undefined) throw new Error(`${this.#node.op.name} has no input ${i}`);
    return type;
  }

  wants(i: number): boolean {
    return this.#wanted[i] === true;
  }
}

/** Options of a run. */
export interface RunOptions {
  readonly retainGraph: boolean;
  readonly createGraph: boolean;
  readonly trainMode: boolean;
}

function headGradient(head: NDArray, given: NDArray | null | undefined): NDArray {
  if (given == null) return ones(head.shape, { ctx: head.context, dtype: head.dtype });
  if (!sameShape(given.shape, head.shape))
    throw new ShapeError(
      `expected a head gradient of shape ${shapeText(head.shape)}, received ${shapeText(given.shape)}. It has the shape of what backward is called on.`,
      { op: 'backward' },
    );
  if (given.context !== head.context)
    throw new ContextError(
      `expected a head gradient on ${head.context}, received one on ${given.context}. Copy it over with asInContext.`,
      { op: 'backward' },
    );
  return given.dtype === head.dtype ? given : astype(given, head.dtype);
}

/** What a run looks for. */
export interface RunTargets {
  /** Only gradients by these are computed; null: by all variables. */
  readonly only: readonly Place[] | null;
  /** The run ends at these calls. */
  readonly ends?: ReadonlySet<TapeNode> | undefined;
}

const EVERYWHERE: RunTargets = { only: null };
const NOWHERE: ReadonlySet<TapeNode> = new Set();

/** The sums that a run found. */
export interface Found {
  readonly variables: ReadonlyMap<Variable, NDArray>;
  /** By the places of `only` that are no variables. */
  readonly places: ReadonlyMap<Place, NDArray>;
  /** Whether a place is among what the heads came from, be its gradient 0. */
  reached(place: Place): boolean;
}

function placesOfHeads(heads: readonly NDArray[]): Place[] {
  return heads.map((head, i) => {
    const place = placeOf(head);
    if (place === null)
      throw new AutogradError(
        `expected an array that was computed while recording from arrays with attachGrad, received ${heads.length > 1 ? `as head ${i} ` : ''}an array of shape ${shapeText(head.shape)} that was not. ` +
          'Call x.attachGrad() first, and compute inside autograd.record(() => …).',
        { op: 'backward' },
      );
    return place;
  });
}

/** Runs back from `heads`. Belongs inside a scope of the caller's, which frees what is left. */
export function run(
  heads: readonly NDArray[],
  headGradients: readonly (NDArray | null | undefined)[],
  options: RunOptions,
  { only, ends = NOWHERE }: RunTargets = EVERYWHERE,
): Found {
  const places = placesOfHeads(heads);
  const nodes = reachable(places, ends);
  for (const node of nodes)
    if (node.done)
      throw new AutogradError(
        `expected a tape that is still there, received one whose backward has run (what ${node.op.name} kept is freed). Record again, or pass { retainGraph: true } to the first backward.`,
        { op: 'backward' },
      );
  const wasRecording = setRecording(options.createGraph);
  const wasTraining = setTraining(options.trainMode);
  // the tape stays to the end, whoever lets go of the heads on the way
  for (const { node } of places) if (node !== null) node.holders++;
  try {
    const wanted = new Wanted(nodes, only);
    const watched = only?.filter((p) => p.node !== null) ?? [];
    const sums = new Sums();
    sums.keepAll = options.createGraph || watched.length > 0;
    const found = new Map<Place, NDArray>();
    places.forEach((place, i) => {
      const given = headGradients[i];
      const gradient = headGradient(heads[i] as NDArray, given);
      if (gradient === given) sums.lend(gradient);
      sums.addAt(place, gradient);
    });
    for (const node of nodes) {
      const above = sums.take(node);
      if (above !== undefined) {
        for (const place of watched) {
          const gradient = above[place.index];
          if (place.node === node && gradient != null) found.set(place, gradient);
        }
        if (!ends.has(node)) step(node, above, wanted, sums);
        for (const gradient of above) if (gradient !== null) sums.drop(gradient);
      }
      if (!options.retainGraph && !options.createGraph && !ends.has(node)) release(node);
    }
    const reached = ({ node, variable }: Place): boolean =>
      variable === null
        ? node !== null && nodes.includes(node)
        : [...places, ...nodes.flatMap((n) => n.sources)].some((s) => s?.variable === variable);
    return { variables: sums.variables, places: found, reached };
  } finally {
    for (const { node } of places) if (node !== null) leave(node);
    setRecording(wasRecording);
    setTraining(wasTraining);
  }
}

/** One call's part: from the gradients by its outputs to those by its inputs. */
function step(node: TapeNode, above: readonly (NDArray | null)[], wanted: Wanted, sums: Sums): void {
  const { grad } = node.op;
  if (typeof grad !== 'function') return;
  const wants = node.sources.map((s) => wanted.by(s));
  if (!wants.includes(true)) return;
  const gradients = runInScope(
    () => `the gradient of ${node.op.name}`,
    true,
    () => {
      const list = grad(new Call(node, above, wants));
      // what was not made here belongs to somebody else, but for what came from above
      const made = currentScope()?.made;
      for (const gradient of list)
        if (gradient !== null && !above.includes(gradient) && made?.includes(gradient) !== true)
          sums.lend(gradient);
      return list;
    },
  );
  node.sources.forEach((source, i) => {
    const gradient = gradients[i];
    if (source === null || gradient == null || wants[i] !== true) return;
    if (!sameShape(gradient.shape, (node.inputTypes[i] as { readonly shape: readonly number[] }).shape))
      throw new Error(
        `the gradient of ${node.op.name} by input ${i} has the shape ${shapeText(gradient.shape)}`,
      );
    sums.addAt(source, gradient);
  });
}

/** `GradFunctions.through`: records `fn` over handles of its own and runs back to them. */
function through(
  inputs: readonly NDArray[],
  fn: (inputs: readonly NDArray[]) => readonly NDArray[],
  above: readonly (NDArray | null)[],
): readonly (NDArray | null)[] {
  const again = setRecording(true);
  try {
    const forks = inputs.map((x) => fork(x, 'through'));
    const results = fn(forks.map((x) => x.array));
    const heads: NDArray[] = [];
    const weights: NDArray[] = [];
    results.forEach((y, i) => {
      const weight = above[i];
      if (weight == null || placeOf(y) === null) return;
      heads.push(y);
      weights.push(weight);
    });
    const only = forks.map((x) => x.place);
    const ends = new Set(only.flatMap((p) => (p.node === null ? [] : [p.node])));
    const options = { retainGraph: false, createGraph: again, trainMode: isTraining() };
    const { places } = run(heads, weights, options, { only, ends });
    return only.map((p) => places.get(p) ?? null);
  } finally {
    setRecording(again);
  }
}

/** A variable's gradient array, zeros before the first backward. */
export function gradientOf(variable: Variable, context: Context): NDArray {
  if (variable.grad === null) {
    const { shape, dtype } = variable.type;
    const recording = setRecording(false);
    const { trace, standIn } = slots;
    // a replay finds it as it is then
    slots.trace = null;
    slots.standIn = null;
    try {
      variable.grad = outsideScopes(() => zeros(shape, { ctx: context, dtype }));
    } finally {
      slots.trace = trace;
      slots.standIn = standIn;
      setRecording(recording);
    }
    setOwner(variable.grad, 'library');
  }
  return variable.grad;
}

/** Runs back and stores each variable's gradient as its request says. */
export function backwardInto(
  heads: readonly NDArray[],
  headGradients: readonly (NDArray | null | undefined)[],
  options: RunOptions,
): void {
  runInScope(
    () => 'backward',
    true,
    () => {
      const { variables } = run(heads, headGradients, options);
      const recording = setRecording(false);
      try {
        for (const [variable, sum] of variables) store(variable, sum);
      } finally {
        setRecording(recording);
      }
    },
  );
}

function store(variable: Variable, sum: NDArray): void {
  const { gradReq } = variable;
  if (gradReq === 'null') return;
  let { fresh } = variable;
  variable.fresh = true;
  slots.trace?.effect(
    () => {
      if (variable.gradReq !== gradReq) return false;
      fresh = variable.fresh;
      variable.fresh = true;
      return true;
    },
    () => {
      variable.fresh = fresh;
    },
  );
  const gradient = gradientOf(variable, sum.context);
  setTape(gradient, undefined);
  if (variable.gradReq === 'add') iadd(gradient, sum);
  else if (variable.fixed) setStridedSlice(gradient, sum, gradient.shape, 0, stridesOf(gradient.shape));
  // the sum's memory becomes the gradient's, unless somebody else has it too
  else {
    adoptStorage(gradient, bodyOf(sum, 'backward').storage.refs === 1 ? sum : copy(sum));
    slots.trace?.bound(gradient);
  }
}
