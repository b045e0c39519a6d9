// A block's tree as a trace found it: which children and parameters hang where. A program holds for that tree only, and fields are plain properties whose assignment nobody
// hears, so every call compares; flat lists, no walk, nothing made.
import { NDArray } from '../../array/ndarray.ts';
import { Parameter } from '../parameter.ts';
import { type AnyBlock, type BlockState, isBlock, stateOf } from '../state.ts';
import { ownParameters, walk } from '../tree.ts';

/** A field, and the child, parameter or array that it held, or that it held none yet. */
interface Held {
  readonly owner: Record<string, unknown>;
  readonly field: string;
  readonly value: unknown;
}

/** Whether a field of a user's block has an array, or may be given one, or a child, later. */
function mayHold(value: unknown): boolean {
  return value instanceof NDArray || value === null || value === undefined;
}

export class Snapshot {
  /** The blocks of the tree, the root first. */
  readonly states: readonly BlockState[];
  /** The parameters of the tree. */
  readonly parameters: ReadonlySet<Parameter>;
  /** Why the tree does not compile; null where it does. */
  readonly eager: string | null;
  readonly #held: readonly Held[];
  /** Blocks to which children may be added, and how many fields they have. */
  readonly #open: readonly { readonly block: AnyBlock; readonly fields: number }[];
  readonly #explicit: readonly number[];

  constructor(root: BlockState) {
    const states = new Map<BlockState, string>();
    const held: Held[] = [];
    const parameters = new Set<Parameter>();
    walk(root.block, (block, path) => {
      const state = stateOf(block);
      if (states.has(state)) return;
      states.set(state, path.slice(0, -1));
      for (const parameter of ownParameters(block).values()) parameters.add(parameter);
      const owner = block as unknown as Record<string, unknown>;
      for (const [field, value] of Object.entries(block))
        if (value instanceof Parameter || isBlock(value) || (state.custom && mayHold(value)))
          held.push({ owner, field, value });
    });
    this.states = [...states.keys()];
    this.parameters = parameters;
    this.#held = held;
    this.#open = this.states
      .filter((state) => !state.leaf)
      .map(({ block }) => ({ block, fields: Object.keys(block).length }));
    this.#explicit = this.states.map((state) => state.registrations);
    this.eager = null;
    for (const [state, path] of states) {
      if (state.compiles) continue;
      const which = path === '' ? `${state.className} is` : `${path} (${state.className}) is`;
      this.eager = `${which} a Block whose forward may do anything. Make its class a HybridBlock, if it is made of array operations alone`;
      break;
    }
  }

  /** What of the tree is another now, in words; null for nothing. */
  changed(): string | null {
    const held = this.#held;
    for (let i = 0; i < held.length; i++) {
      const { owner, field, value } = held[i] as Held;
      if (owner[field] !== value) return `${field} of ${this.#name(owner)} was replaced`;
    }
    for (const { block, fields } of this.#open)
      if (Object.keys(block).length !== fields) return `${this.#name(block)} has other fields now`;
    const { states } = this;
    for (let i = 0; i < states.length; i++)
      if ((states[i] as BlockState).registrations !== this.#explicit[i])
        return `a child of ${(states[i] as BlockState).name} was registered`;
    return null;
  }

  /** Whether another look found the same children and parameters in the same places; and the same arrays, where `arrays` says so. */
  sameTree(other: Snapshot, arrays: boolean): boolean {
    const seen = (value: unknown): unknown => (!arrays && value instanceof NDArray ? null : (value ?? null));
    const [a, b] = [this.#held, other.#held];
    return (
      a.length === b.length &&
      this.states.length === other.states.length &&
      this.states.every((state, i) => state === other.states[i]) &&
      a.every(({ owner, field, value }, i) => {
        const held = b[i] as Held;
        return held.owner === owner && held.field === field && seen(held.value) === seen(value);
      })
    );
  }

  /** The name of a block below the root that has hooks, which a program would pass by; null for none. */
  hooked(): string | null {
    const { states } = this;
    for (let i = 1; i < states.length; i++) {
      const { hooks, preHooks, name } = states[i] as BlockState;
      if (hooks.length > 0 || preHooks.length > 0) return name;
    }
    return null;
  }

  #name(block: object): string {
    return this.states.find((state) => state.block === block)?.name ?? '';
  }
}
