// The copies of a Trainer's parameters, one on each context: which have gradients, which of these are fresh, and sums over contexts. What is done with them is the Trainer's.
import { bodyOf, type NDArray, runInScope } from '../array/ndarray.ts';
import { placeOf, type Variable } from '../autograd/tape.ts';
import { AutogradError, ContextError } from '../core/errors.ts';
import { stridesOf } from '../core/shape.ts';
import { asInContext } from '../nd/transfer.ts';
import { add } from '../ops/binary.ts';
import { setStridedSlice } from '../ops/slices.ts';
import { internals, type Parameter } from './parameter.ts';

/** One copy of a parameter: its place among the parameters, its arrays on one context. */
export interface Replica {
  readonly parameter: Parameter;
  readonly index: number;
  /** Which of the parameter's contexts. */
  readonly copy: number;
  readonly weight: NDArray;
  readonly variable: Variable;
}

/** Every copy of every parameter that has a gradient. @throws for parameters without values */
export function replicasOf(parameters: readonly Parameter[]): Replica[] {
  return parameters.flatMap((parameter, index): Replica[] => {
    if (parameter.gradReq === 'null') return [];
    return parameter.listData().map((weight, copy) => {
      const variable = placeOf(weight)?.variable;
      if (variable == null) throw new Error(`${parameter.name} has no gradient`);
      return { parameter, index, copy, weight, variable };
    });
  });
}

/** Whether parameters still have these copies, and no others. */
export function isSame(replicas: readonly Replica[], parameters: readonly Parameter[]): boolean {
  let at = 0;
  for (const parameter of parameters) {
    if (parameter.gradReq === 'null') continue;
    for (const weight of internals.arraysOf(parameter)) {
      const replica = replicas[at++];
      if (replica?.weight !== weight || placeOf(weight)?.variable !== replica.variable) return false;
    }
  }
  return at === replicas.length;
}

/** Those whose gradients backward has written since the last step. @throws AutogradError where some are stale, unless `ignore` */
export function freshOnes(op: string, all: readonly Replica[], ignore: boolean): readonly Replica[] {
  if (all.every(({ variable }) => variable.fresh)) return all;
  if (!ignore) throw staleError(op, all);
  return all.filter(({ variable }) => variable.fresh);
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

/** Sums each parameter's gradients over its contexts, so that all have the sum. Call it unrecorded. */
export function sumOverContexts(replicas: readonly Replica[]): void {
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
