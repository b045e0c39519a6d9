// A run back for the gradients by some places only: variables, or what calls gave.
import type { NDArray } from '../array/ndarray.ts';
import type { Targets } from './backward.ts';
import type { Sums } from './sums.ts';
import type { Place, TapeNode } from './tape.ts';

/** Wants gradients by `places` alone; those that are no variables are found in `found`. */
export class Only implements Targets {
  readonly ends: ReadonlySet<TapeNode>;
  readonly found = new Map<Place, NDArray>();
  readonly #places: readonly Place[];
  /** Calls through which a place is reached. */
  readonly #nodes = new Set<TapeNode>();
  /** All that the heads came from. */
  #reached: readonly (Place | null)[] = [];

  constructor(places: readonly Place[], ends: readonly TapeNode[] = []) {
    this.#places = places;
    this.ends = new Set(ends);
    for (const { node } of places) if (node !== null) this.#nodes.add(node);
  }

  begin(heads: readonly Place[], nodes: readonly TapeNode[]): void {
    this.#reached = [...heads, ...nodes.flatMap((node) => node.sources)];
    // sources stand after the calls they serve
    for (const node of nodes.toReversed())
      if (node.sources.some((s) => s !== null && this.wants(s))) this.#nodes.add(node);
  }

  wants({ node, variable }: Place): boolean {
    return variable === null
      ? node !== null && this.#nodes.has(node)
      : this.#places.some((p) => p.variable === variable);
  }

  passing(node: TapeNode, above: readonly (NDArray | null)[], sums: Sums): void {
    for (const place of this.#places) {
      const gradient = above[place.index];
      if (place.node !== node || gradient == null) continue;
      this.found.set(place, gradient);
      sums.lend(gradient);
    }
  }

  /** Whether a place is among what the heads came from, be its gradient 0. */
  reached({ node, variable }: Place): boolean {
    return this.#reached.some((p) => p !== null && p.node === node && p.variable === variable);
  }
}
