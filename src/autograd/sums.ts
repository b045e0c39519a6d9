// The gradients of one run back, added up.
import type { NDArray } from '../array/ndarray.ts';
import { add } from '../ops/binary.ts';
import type { Place, TapeNode, Variable } from './tape.ts';

/** Sums of gradients by where they belong. Counts who still wants an array, so that it can be freed when nobody does. */
export class Sums {
  readonly #nodes = new Map<TapeNode, (NDArray | null)[]>();
  readonly variables = new Map<Variable, NDArray>();
  readonly #uses = new Map<NDArray, number>();
  /** Arrays that are not this run's to free: a user's, or kept by the tape. */
  readonly #foreign = new WeakSet<NDArray>();

  readonly #keepAll: boolean;

  /** `keepAll`: gradients are on a tape themselves. */
  constructor(keepAll: boolean) {
    this.#keepAll = keepAll;
  }

  /** Takes note of an array that somebody else holds. */
  lend(gradient: NDArray): void {
    this.#foreign.add(gradient);
  }

  #free(gradient: NDArray): void {
    if (!this.#keepAll && !this.#foreign.has(gradient)) gradient.dispose();
  }

  #joined(before: NDArray | null | undefined, gradient: NDArray): NDArray {
    if (before == null) {
      this.#uses.set(gradient, (this.#uses.get(gradient) ?? 0) + 1);
      return gradient;
    }
    const sum = add(before, gradient);
    this.#uses.set(sum, 1);
    this.drop(before);
    if (!this.#uses.has(gradient)) this.#free(gradient);
    return sum;
  }

  addAt(place: Place, gradient: NDArray): void {
    if (place.variable !== null) {
      this.variables.set(place.variable, this.#joined(this.variables.get(place.variable), gradient));
      return;
    }
    if (place.node === null) return;
    let list = this.#nodes.get(place.node);
    if (list === undefined) {
      list = place.node.outputTypes.map(() => null);
      this.#nodes.set(place.node, list);
    }
    list[place.index] = this.#joined(list[place.index], gradient);
  }

  take(node: TapeNode): (NDArray | null)[] | undefined {
    const list = this.#nodes.get(node);
    this.#nodes.delete(node);
    return list;
  }

  /** One use of an array less; freed with the last. */
  drop(gradient: NDArray): void {
    const left = (this.#uses.get(gradient) ?? 1) - 1;
    this.#uses.set(gradient, left);
    if (left > 0) return;
    this.#uses.delete(gradient);
    this.#free(gradient);
  }
}
