// The copies of a Trainer's parameters, one on each context: which have gradients, which of these are fresh, and sums over contexts. What is done with them is the Trainer's.
import { bodyOf, type NDArray, runInScope } from '../array/ndarray.ts';
import { placeOf, type Variable } from '../autograd/tape.ts';
import { AutogradError, ContextError } from '../core/errors.ts';
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
  const stale = all.filter(({ variable }) => !variable.fresh);
  const names = [...new Set(stale.map(({ parameter }) => parameter.name))];
  const contexts = [...new Set(stale.map(({ weight }) => weight.context))];
  const some =
    names.length > 6 ? `${names.slice(0, 6).join(', ')} and ${names.length - 6} more` : names.join(', ');
  return new AutogradError(
    `expected gradients that backward wrote since the last step, received stale ones of ${some} on ${contexts.join(', ')}. ` +
      (names.length === new Set(all.map((r) => r.index)).size
        ? 'Call loss.backward() on what was computed inside autograd.record(…) before every step.'
        : 'The loss did not depend on them: check the forward pass, or pass { ignoreStaleGrad: true } to leave them as they are.'),
    { op },
  );
}

/** Sums each parameter's gradients over its contexts, so that all have the sum. Call it unrecorded. */
export function sumOverContexts(replicas: readonly Replica[]): void {
  if (replicas.every(({ copy }) => copy === 0)) return;
  const gradients = new Map<Parameter, NDArray[]>();
  for (const { parameter, weight } of replicas)
    gradients.set(parameter, [...(gradients.get(parameter) ?? []), parameter.grad(weight.context)]);
  for (const [{ name }, copies] of gradients)
    if (copies.length > 1)
      runInScope(
        () => 'allreduceGrads',
        true,
        () => {
          const sum = copies.reduce((total, gradient) => add(total, move(gradient, total, name)));
          for (const gradient of copies) setStridedSlice(gradient, move(sum, gradient, name));
        },
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
