// Steps of programs as a list that one call into WebAssembly runs for many rows (`run` of kernels/vector.ts): the same loops in the same order as Program.run, without
// JavaScript between them. Who makes a list says where rows begin; what the list cannot express is left to the caller.
import type { Heap } from './heap.ts';
import type { Program, Steps } from './program.ts';
import { BLOCK } from './scratch.ts';
import { FOLD_CODES, SELECT } from './wasm/loops.ts';

/** Words of a step, as in kernels/vector.ts. */
const WORDS = 13;
/** Steps for which a register has room. */
const MOST = Math.floor((BLOCK * 2) / WORDS);
/** Runs shorter than this are JavaScript's, whose sums have another order. */
const SHORT = 16;

export type Folding = keyof typeof FOLD_CODES;

/** Whether rows of `length` elements can be run by lists at all. */
export function fitsList(length: number): boolean {
  return length >= SHORT && length <= BLOCK;
}

/** Where each of a program's slots lies in a list: the first row's first element, the stride, and how far on the next row's lie; in elements. */
export class RowPlaces {
  readonly base: Int32Array;
  readonly stride: Int32Array;
  readonly next: Int32Array;

  constructor({ base }: Program) {
    this.base = new Int32Array(base.length);
    this.stride = new Int32Array(base.length);
    this.next = new Int32Array(base.length);
  }

  /** As the program has it, the same for all rows. */
  begin({ base, stride }: Program): void {
    this.base.set(base);
    this.stride.set(stride);
    this.next.fill(0);
  }

  put(slot: number, base: number, stride: number, next: number): void {
    this.base[slot] = base;
    this.stride[slot] = stride;
    this.next[slot] = next;
  }
}

export class StepList {
  readonly #heap: Heap;
  readonly #at: number;
  #count = 0;

  /** `at`: the byte offset of a register. */
  constructor(heap: Heap, at: number) {
    this.#heap = heap;
    this.#at = at;
  }

  /** Appends steps on `n` elements; false where one of them cannot be run. */
  add(steps: Steps, n: number, places: RowPlaces): boolean {
    const { code, codes, count } = steps;
    const { stride } = places;
    const { i32 } = this.#heap;
    if (this.#count + count >= MOST) return false;
    for (let s = 0; s < count; s++) {
      const op = codes[s] as number;
      const dst = code[s * 4] as number;
      const a = code[s * 4 + 1] as number;
      const b = code[s * 4 + 2] as number;
      const c = code[s * 4 + 3] as number;
      const strides = (stride[a] as number) | (stride[b] as number) | (stride[c] as number);
      // functions of one number read neighbours
      if (op < 0 || strides >>> 0 > 1 || (op < 16 && n > 1 && stride[a] !== 1)) return false;
      const others = op < 16 ? a : b;
      const to = this.#at / 4 + this.#count++ * WORDS;
      i32[to] = op;
      i32[to + 1] = n;
      place(i32, to + 2, places, dst);
      place(i32, to + 4, places, a);
      i32[to + 6] = (stride[a] as number) * 4;
      place(i32, to + 7, places, others);
      i32[to + 9] = (stride[others] as number) * 4;
      if (op !== SELECT) continue;
      place(i32, to + 10, places, c);
      i32[to + 12] = (stride[c] as number) * 4;
    }
    return true;
  }

  /** Appends the fold of slot `a`'s `n` elements into the cell at `cell` and, row after row, to `to` and what follows; false where they are not neighbours. */
  fold(combine: Folding, n: number, places: RowPlaces, a: number, cell: number, to: number): boolean {
    if (places.stride[a] !== 1 || this.#count >= MOST) return false;
    const { i32 } = this.#heap;
    const at = this.#at / 4 + this.#count++ * WORDS;
    i32[at] = FOLD_CODES[combine];
    i32[at + 1] = n;
    i32[at + 2] = cell * 4;
    i32[at + 3] = 0;
    place(i32, at + 4, places, a);
    i32[at + 7] = to * 4;
    i32[at + 8] = 4;
    return true;
  }

  /** Runs the list for `rows` rows; once more, it goes on with the rows after them. */
  run(rows: number): void {
    this.#heap.kernels.vector.run(this.#at, this.#count, rows);
  }
}

function place(i32: Int32Array, at: number, { base, next }: RowPlaces, slot: number): void {
  i32[at] = (base[slot] as number) * 4;
  i32[at + 1] = (next[slot] as number) * 4;
}
