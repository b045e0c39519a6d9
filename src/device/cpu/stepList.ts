// Steps of programs as a list that one call into WebAssembly runs for many rows (`run` of kernels/vector.ts), or threads, each for some of them: the same loops as Program.run's,
// without JavaScript between them. Who makes a list says where rows begin; what the list cannot express is left to the caller.
import type { Heap } from './heap.ts';
import type { Chain, Program, Steps } from './program.ts';
import type { Layout, Scratch } from './scratch.ts';
import { BLOCK } from './scratch.ts';
import type { Threads } from './threads/threads.ts';
import { COUNT, EXP, FOLD_CODES, isFunction, NEG, POWERS, SELECT, SUB } from './wasm/loops.ts';

/** Words of the fields of a job, of a step, and of a result or operand in it, as in kernels/vector.ts. */
const FIELDS = 16;
const WORDS = 26;
const PLACE = 6;
/** Steps for which a register has room. */
const MOST = Math.floor((BLOCK * 2 - FIELDS) / WORDS) - 2;
/** Runs shorter than this are JavaScript's, whose sums have another order. */
export const SHORT = 16;
/** Nanoseconds that an element takes: an addition in the first-level cache, and exp or its like. */
const PLAIN_TIME = 0.15;
const FUNCTION_TIME = 0.8;
/** And a step of a row besides. */
const STEP_TIME = 6;

export type Folding = keyof typeof FOLD_CODES;

/** Where each of a program's slots lies in a list, as the list has it (`put`), and whether it is computed once a row. */
export class RowPlaces {
  readonly words: Int32Array;
  readonly single: Uint8Array;

  constructor({ base }: Program) {
    this.words = new Int32Array(base.length * PLACE);
    this.single = new Uint8Array(base.length);
  }

  /** In the scratch memory, as the program has it. */
  begin({ base, stride }: Program): void {
    for (let slot = 0; slot < base.length; slot++) {
      put(this.words, slot * PLACE, base[slot] as number, stride[slot] as number, 0, false);
      this.single[slot] = 0;
    }
  }

  /** In an array. */
  put(slot: number, base: number, stride: number, next: number, wrap = 0): void {
    put(this.words, slot * PLACE, base, stride, next, true, wrap);
  }

  /** Between a slot's elements, in bytes. */
  stride(slot: number): number {
    return this.words[slot * PLACE + 1] as number;
  }
}

export class StepList {
  readonly #heap: Heap;
  readonly #threads: Threads;
  readonly #scratch: Scratch;
  readonly #layout: Layout;
  /** The register's first word. */
  readonly #at: number;
  #count = 0;
  /** Where the last part begins, its elements, and how many parts of more than one element and how many folds there are. */
  #part = 0;
  #length = 0;
  #parts = 0;
  #folds = 0;
  /** Nanoseconds of a row, about. */
  #time = 0;

  /** `register`: one of the layout's that holds the list. */
  constructor(heap: Heap, threads: Threads, scratch: Scratch, layout: Layout, register: number) {
    this.#heap = heap;
    this.#threads = threads;
    this.#scratch = scratch;
    this.#layout = layout;
    this.#at = scratch.register(register) / 4;
  }

  /** Begins a part: what is added from here on runs on `n` elements of a row, `block` at a time. */
  part(n: number, block = BLOCK): void {
    this.#part = this.#next();
    if (n > 1) this.#parts++;
    this.#length = n;
    const { i32 } = this.#heap;
    // where no address stands: threads move those
    i32[this.#part + 3] = n;
    i32[this.#part + 4] = block;
    i32[this.#part + 5] = WORDS * 4;
  }

  /** The first word of one more step. */
  #next(): number {
    return this.#at + FIELDS + this.#count++ * WORDS;
  }

  /** One more step of the part. */
  #step(op: number): number {
    const to = this.#next();
    const { i32 } = this.#heap;
    i32[to] = op;
    i32[to + 1] = 0;
    i32[this.#part + 5] = (to + WORDS - this.#part) * 4;
    this.#time += STEP_TIME + this.#length * (isFunction(op) ? FUNCTION_TIME : PLAIN_TIME);
    return to;
  }

  /**
   * Appends steps; false where one of them cannot be run. `single`: a part with those that give one number a row, if there are any, and afterwards `add` leaves these out.
   */
  add(steps: Steps, places: RowPlaces, single = false): boolean {
    const { code, codes, count, chains } = steps;
    const { words, single: known } = places;
    const { i32 } = this.#heap;
    if (this.#count + count >= MOST) return false;
    for (let s = 0, found = 0; s < count; s++) {
      const op = codes[s] as number;
      const dst = code[s * 4] as number;
      const a = code[s * 4 + 1] as number;
      const b = code[s * 4 + 2] as number;
      const c = code[s * 4 + 3] as number;
      const strides = places.stride(a) | places.stride(b) | places.stride(c);
      if (known[dst] === 1) continue;
      if (single) {
        if (op < 0 || strides !== 0 || words[dst * PLACE + 4] === 0) continue;
        if (found === 0) this.part(1);
        // a block's register may be another's later on; float32 leaves a half of each empty
        put(words, dst * PLACE, (words[dst * PLACE] as number) / 4 + BLOCK + 4 * found++, 0, 0, false);
        known[dst] = 1;
      } else {
        const chain = chains.get(s);
        if (chain !== undefined && codes[chain.exp] === EXP && this.#exponential(steps, s, chain, places)) {
          s = chain.last;
          continue;
        }
        // functions of one number read neighbours
        if (op < 0 || (strides | 4) !== 4 || (op < 16 && this.#length > 1 && places.stride(a) !== 4))
          return false;
      }
      const to = this.#step(op);
      place(i32, to + 2, places, dst);
      place(i32, to + 2 + PLACE, places, a);
      if (op >= 16) place(i32, to + 2 + PLACE * 2, places, b);
      if (op === SELECT) place(i32, to + 2 + PLACE * 3, places, c);
    }
    return true;
  }

  /** Appends exp and what goes with it, from step `first` on; false where that does not lie as it must. */
  #exponential({ code, codes }: Steps, first: number, { exp, last }: Chain, places: RowPlaces): boolean {
    const a = code[first * 4 + 1] as number;
    const b = code[first * 4 + 2] as number;
    const less = codes[first] === SUB;
    if (places.stride(a) !== 4 || (less && places.stride(b) !== 0)) return false;
    const { i32 } = this.#heap;
    const to = this.#step(EXP);
    i32[to + 1] = (codes[first] === NEG ? -(2 ** 31) : less ? 1 : 0) + (last > exp ? 2 : 0);
    place(i32, to + 2, places, code[last * 4] as number);
    place(i32, to + 2 + PLACE, places, a);
    if (less) place(i32, to + 2 + PLACE * 2, places, b);
    return true;
  }

  /** Appends the writing of `start`, `start` + 1, … to a slot, and of what is `next` more for the next row. */
  countUp(places: RowPlaces, slot: number, start: number, next: number): void {
    const { i32 } = this.#heap;
    const to = this.#step(COUNT);
    place(i32, to + 2, places, slot);
    put(i32, to + 2 + PLACE, start, 1, next, true);
  }

  /**
   * Appends the fold of slot `a` into the cell at `cell` and, where it is another place, row after row to `to` and what follows; false where its elements are not neighbours.
   * `powers`: the sum of exp(a − b) with a ≤ b, in the cell alone, and its reciprocal in the next; in one step with the exponentials, if that is what the last one does.
   */
  fold(combine: Folding, places: RowPlaces, a: number, cell: number, to: number, powers: boolean): boolean {
    if (places.stride(a) !== 4 || this.#count >= MOST) return false;
    const { i32 } = this.#heap;
    this.#folds++;
    const last = this.#at + FIELDS + (this.#count - 1) * WORDS;
    if (powers && i32[last] === EXP && i32[last + 1] === 1) {
      i32[last] = POWERS;
      put(i32, last + 2 + PLACE * 3, cell, 0, 0, false);
      return true;
    }
    const at = this.#step(FOLD_CODES[combine]);
    put(i32, at + 2, cell, 0, 0, false);
    if (powers) i32[at + 1] = 1;
    place(i32, at + 2 + PLACE, places, a);
    put(i32, at + 2 + PLACE * 2, to, 0, to === cell ? 0 : 1, to !== cell);
    return true;
  }

  /**
   * Runs the list for `rows` rows, each `every` together; `shareable`: threads may take some of them, since nothing that is read is written but for one row in place at `over`
   * (bytes, 0 for none).
   */
  run(rows: number, shareable: boolean, every = rows, over = 0): void {
    const bytes = this.#count * WORDS * 4;
    const steps = (this.#at + FIELDS) * 4;
    const overBytes = over > 0 ? this.#length * 4 : 0;
    const wanted = shareable ? this.#wanted(rows, overBytes) : 1;
    const tileRows = Math.ceil(rows / wanted);
    const down = Math.ceil(rows / tileRows);
    // a row is cut where it is one part without folds
    const cuttable = this.#parts === 1 && this.#folds === 0;
    const blocks = Math.ceil(this.#length / BLOCK);
    const tileBlocks = cuttable ? Math.ceil(blocks / Math.ceil(wanted / down)) : blocks;
    const across = Math.ceil(blocks / tileBlocks);
    if (wanted > 1)
      this.#heap.u32.set(
        [
          steps,
          bytes,
          rows,
          tileRows,
          // parts of several lengths are never cut
          across > 1 ? tileBlocks * BLOCK : ALL,
          across,
          this.#scratch.cell(0),
          this.#layout.cells * 8,
          every,
        ],
        this.#at,
      );
    this.#threads.run(
      'runTile',
      this.#at * 4,
      down * across,
      () => {
        this.#heap.kernels.vector.run(steps, bytes, 0, rows, every, 0, ALL);
      },
      over > 0 ? { at: over, tile: tileBlocks * BLOCK * 4, end: over + overBytes } : null,
    );
  }

  #wanted(rows: number, over: number): number {
    const tiles = this.#threads.tiles(this.#time * rows, 0xffff, over);
    if (tiles === 1) return 1;
    // a thread's working memory holds a list, and stands for cells and registers
    const { kept, temps } = this.#layout;
    const own = this.#scratch.register(kept + temps + 1) - this.#scratch.cell(0);
    return own > this.#threads.workBytes ? 1 : tiles;
  }
}

/** More elements than a row has. */
const ALL = 2 ** 31 - 1;

function place(i32: Int32Array, at: number, { words }: RowPlaces, slot: number): void {
  for (let k = 0; k < PLACE; k++) i32[at + k] = words[slot * PLACE + k] as number;
}

/**
 * The first row's first element, the stride, how far on the next row's lie, and how much further at the end of rows that belong together; all in elements of 4 bytes.
 * An array goes on along the row; what lies in the scratch memory is a thread's own.
 */
function put(
  to: Int32Array,
  at: number,
  base: number,
  stride: number,
  next: number,
  array: boolean,
  wrap = 0,
): void {
  to[at] = base * 4;
  to[at + 1] = stride * 4;
  to[at + 2] = next * 4;
  to[at + 3] = array && stride === 1 ? -1 : 0;
  to[at + 4] = array ? 0 : -1;
  to[at + 5] = wrap * 4;
}
