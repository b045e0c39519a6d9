// From heads back to variables: calls in the reverse of their order, each once, what is no longer needed freed on the way.
import { adoptStorage, bodyOf, type NDArray, runInScope, setOwner, setTape } from '../array/ndarray.ts';
import { currentScope, outsideScopes } from '../array/scope.ts';
import type { Context } from '../core/context.ts';
import { AutogradError, ContextError, ShapeError } from '../core/errors.ts';
import { sameShape, shapeText } from '../core/shape.ts';
import { iadd } from '../ops/binary.ts';
import { ones, zeros } from '../ops/creation.ts';
import { slots } from '../ops/invoke.ts';
import { astype, copy } from '../ops/moves.ts';
import type { GradContext, TensorType } from '../ops/op.ts';
import { setStridedSlice } from '../ops/slices.ts';
import { functions } from './functions.ts';
import { inModes, isRecording } from './mode.ts';
import { Sums } from './sums.ts';
import { checkUnchanged, leave, type Place, placeOf, release, type TapeNode, type Variable } from './tape.ts';

/** What a run looks for, where it is not the gradients by all variables. */
export interface Targets {
  /** The run ends at these calls. */
  readonly ends: ReadonlySet<TapeNode>;
  /** The heads and the calls they were reached from, the last first: before the run. */
  begin(heads: readonly Place[], nodes: readonly TapeNode[]): void;
  /** Whether a gradient that flows to a source gets anywhere. */
  wants(source: Place): boolean;
  /** The gradients by a call's outputs, which may be lent out. */
  passing(node: TapeNode, above: readonly (NDArray | null)[], sums: Sums): void;
}

/** Calls reached from the heads, the last first. Does not go past `ends`. */
function reachable(heads: readonly Place[], ends: ReadonlySet<TapeNode> | undefined): TapeNode[] {
  const found = new Set<TapeNode>();
  const stack: (Place | null)[] = [...heads];
  for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
    const node = place?.node;
    if (node == null || found.has(node)) continue;
    found.add(node);
    if (ends?.has(node) !== true) stack.push(...node.sources);
  }
  return [...found].sort((a, b) => b.id - a.id);
}

/** What a gradient may ask for, over one call. */
class Call implements GradContext<unknown> {
  readonly f = functions;
  readonly recorded = isRecording();
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

  #kept(list: readonly (NDArray | null)[], i: number): NDArray {
    const { name } = this.#node.op;
    const array = list[i];
    if (array == null) throw new Error(`the gradient of ${name} reads what its record does not keep`);
    checkUnchanged(array, name);
    return array;
  }

  x(i: number): NDArray {
    return this.#kept(this.#node.inputs, i);
  }

  y(i = 0): NDArray {
    return this.#kept(this.#node.outputs, i);
  }

  dy(i = 0): NDArray {
    const given = this.#above[i];
    if (given != null) return given;
    const { shape, dtype } = this.#node.outputTypes[i] as TensorType;
    const like = this.#above.find((a) => a != null) as NDArray;
    return zeros(shape, { ctx: like.context, dtype });
  }

  given(i: number): boolean {
    return this.#above[i] != null;
  }

  xType(i: number): TensorType {
    return this.#node.inputTypes[i] as TensorType;
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

/** Runs back from `heads`; gives the sums by variables. Belongs inside a scope of the caller's, which frees what is left. */
export function run(
  heads: readonly NDArray[],
  headGradients: readonly (NDArray | null | undefined)[],
  { retainGraph, createGraph, trainMode }: RunOptions,
  targets?: Targets,
): ReadonlyMap<Variable, NDArray> {
  const places = placesOfHeads(heads);
  const nodes = reachable(places, targets?.ends);
  for (const node of nodes)
    if (node.done)
      throw new AutogradError(
        `expected a tape that is still there, received one whose backward has run (what ${node.op.name} kept is freed). Record again, or pass { retainGraph: true } to the first backward.`,
        { op: 'backward' },
      );
  // the tape stays to the end, whoever lets go of the heads on the way
  for (const { node } of places) if (node !== null) node.holders++;
  try {
    return inModes(createGraph, trainMode, () => {
      targets?.begin(places, nodes);
      const wants = (source: Place | null): boolean =>
        source !== null && (targets?.wants(source) ?? source.variable?.gradReq !== 'null');
      const sums = new Sums(createGraph);
      places.forEach((place, i) => {
        const given = headGradients[i];
        const gradient = headGradient(heads[i] as NDArray, given);
        if (gradient === given) sums.lend(gradient);
        sums.addAt(place, gradient);
      });
      for (const node of nodes) {
        const above = sums.take(node);
        const ends = targets?.ends.has(node) === true;
        if (above !== undefined) {
          targets?.passing(node, above, sums);
          if (!ends) step(node, above, node.sources.map(wants), sums);
          for (const gradient of above) if (gradient !== null) sums.drop(gradient);
        }
        if (!retainGraph && !createGraph && !ends) release(node);
      }
      return sums.variables;
    });
  } finally {
    for (const { node } of places) if (node !== null) leave(node);
  }
}

/** One call's part: from the gradients by its outputs to those by its inputs. */
function step(
  node: TapeNode,
  above: readonly (NDArray | null)[],
  wants: readonly boolean[],
  sums: Sums,
): void {
  const { grad, name } = node.op;
  if (grad == null || !wants.includes(true)) return;
  const gradients = runInScope(
    () => `the gradient of ${name}`,
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
    if (!sameShape(gradient.shape, (node.inputTypes[i] as TensorType).shape))
      throw new Error(`the gradient of ${name} by input ${i} has the shape ${shapeText(gradient.shape)}`);
    sums.addAt(source, gradient);
  });
}

/** A variable's gradient array, zeros before the first backward. */
export function gradientOf(variable: Variable, context: Context): NDArray {
  if (variable.grad === null) {
    const { shape, dtype } = variable.type;
    const { trace, standIn } = slots;
    // a replay finds it as it is then
    slots.trace = null;
    slots.standIn = null;
    try {
      const made = inModes(false, undefined, () =>
        outsideScopes(() => zeros(shape, { ctx: context, dtype })),
      );
      setOwner(made, 'library');
      variable.grad = made;
    } finally {
      slots.trace = trace;
      slots.standIn = standIn;
    }
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
      const variables = run(heads, headGradients, options);
      inModes(false, undefined, () => {
        for (const [variable, sum] of variables) store(variable, sum);
      });
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
  else if (variable.fixed) setStridedSlice(gradient, sum);
  // the sum's memory becomes the gradient's, unless somebody else has it too
  else {
    adoptStorage(gradient, bodyOf(sum, 'backward').storage.refs === 1 ? sum : copy(sum));
    slots.trace?.bound(gradient);
  }
}
