// One run of a row kernel: row after row (by a list of steps for WebAssembly where there is one), or rows side by side. Which of the two is row.ts's choice.
import type { ComputeType } from '../../core/dtype.ts';
import { bytesOf } from '../../core/dtype.ts';
import type { Operand, RowKernel } from '../../ir/kernel.ts';
import { SMALL } from '../digits.ts';
import type { CompiledRow } from './compiledRow.ts';
import type { Move } from './convert.ts';
import { moveBetween } from './convert.ts';
import { countUp } from './elementwise.ts';
import type { Heap } from './heap.ts';
import type { Cells } from './loops/loop.ts';
import type { Program } from './program.ts';
import { NATIVE, widthOf } from './program.ts';
import type { Extreme } from './reduce.ts';
import { foldExtreme, foldOf, identityOf, RowAccumulators } from './reduce.ts';
import type { Scratch } from './scratch.ts';
import { BLOCK } from './scratch.ts';
import type { RowPlaces } from './stepList.ts';
import { SHORT, StepList } from './stepList.ts';
import type { Threads } from './threads/threads.ts';
import { areApart } from './threads/threads.ts';

interface RowInput {
  readonly at: number;
  readonly so: number;
  readonly sl: number;
  readonly si: number;
  readonly move: Move | null;
  /** Its register, in elements of the compute type. */
  readonly register: number;
}

/** One run of a row kernel. */
export class RowCall {
  readonly #heap: Heap;
  readonly #scratch: Scratch;
  readonly #threads: Threads;
  /** Whether threads may share the rows. */
  readonly #shareable: boolean;
  readonly #kernel: RowKernel;
  readonly #compiled: CompiledRow;
  readonly #type: ComputeType;
  readonly #width: number;
  readonly #m: Cells;
  readonly #inputs: readonly RowInput[];
  readonly #outAt: number;
  readonly #storeMove: Move;
  readonly #native: boolean;
  readonly #outer: number;
  readonly #length: number;
  readonly #inner: number;
  readonly #across: boolean;
  /** The stage whose values are kept in the output until the store has read them, −1 for none; and the store. */
  readonly #reused: number;
  readonly #store: Program;

  constructor(
    heap: Heap,
    scratch: Scratch,
    threads: Threads,
    kernel: RowKernel,
    compiled: CompiledRow,
    type: ComputeType,
    inputs: readonly Operand[],
    out: Operand,
    dims: readonly number[],
    across: boolean,
  ) {
    this.#heap = heap;
    this.#scratch = scratch;
    this.#threads = threads;
    this.#shareable = threads.pool !== null && areApart(inputs, [out]);
    this.#kernel = kernel;
    this.#compiled = compiled;
    this.#type = type;
    this.#width = widthOf(type);
    this.#m = heap[type];
    this.#outAt = out.storage.offset / bytesOf(out.dtype);
    this.#native = out.dtype === NATIVE[type];
    this.#storeMove = moveBetween(NATIVE[type], out.dtype);
    const [outer = 0, length = 0, inner = 0] = dims;
    this.#outer = outer;
    this.#length = length;
    this.#inner = inner;
    this.#across = across;
    const reuses = compiled.reused >= 0 && !across && this.#native && inner === 1;
    this.#reused = reuses && (compiled.loads[compiled.reused] as Program).computed ? compiled.reused : -1;
    this.#store = this.#reused >= 0 ? compiled.storeReusing : compiled.store;
    this.#inputs = inputs.slice(0, kernel.inputs).map((operand, k) => ({
      at: operand.storage.offset / bytesOf(operand.dtype),
      so: dims[3 + 3 * k] ?? 0,
      sl: dims[4 + 3 * k] ?? 0,
      si: dims[5 + 3 * k] ?? 0,
      move: operand.dtype === NATIVE[type] ? null : moveBetween(operand.dtype, NATIVE[type]),
      register: scratch.register(compiled.inputRegisters[k] as number) / this.#width,
    }));
  }

  /** Places of everything that stays where it is during the run; `size`: how many elements the whole kernel has. */
  begin(scalars: readonly number[], size: number): void {
    const { loads, results } = this.#compiled;
    const store = this.#store;
    const scratch = this.#scratch;
    const width = this.#width;
    for (const load of loads) load.settle(this.#type, scratch, this.#across, size);
    const storeAcross = this.#across || !this.#kernel.perElement;
    store.settle(this.#type, scratch, storeAcross, size);
    for (let s = 0; s <= loads.length; s++) {
      const program = loads[s] ?? store;
      const across = program === store ? storeAcross : this.#across;
      for (const { slot, index } of program.stages) {
        const result = results[index] as { cell: number; register: number };
        program.base[slot] = (across ? scratch.register(result.register) : scratch.cell(result.cell)) / width;
        program.stride[slot] = across ? 1 : 0;
      }
      program.begin(this.#m, this.#type, scalars, this.#length);
    }
  }

  /** One row after the other; stores of one value a row are gathered and done a block of rows at a time. */
  runAlong(): void {
    const { results, loads, powers } = this.#compiled;
    const { stages, perElement } = this.#kernel;
    const m = this.#m;
    const width = this.#width;
    const inner = this.#inner;
    const rows = this.#outer * inner;
    // as many results as a register holds
    const most = perElement ? rows : (BLOCK * 8) / width;
    for (let first = 0; first < rows; first += most) {
      const count = Math.min(most, rows - first);
      // a list takes as long to write as a short row's calls do
      const list = count > 1 || this.#length > (powers >= 0 ? SMALL : BLOCK) ? this.#listFrom(first) : null;
      list?.run(count, this.#shareable);
      for (let r = list === null ? 0 : count; r < count; r++) {
        const row = first + r;
        const o = inner === 1 ? row : Math.floor(row / inner);
        const i = row - o * inner;
        for (let s = 0; s < stages.length; s++) {
          const value = this.#foldRow(loads[s] as Program, s, o, i);
          const { cell, register } = results[s] as { cell: number; register: number };
          m[this.#scratch.cell(cell) / width] = value;
          if (s === powers) m[this.#scratch.cell(cell + 1) / width] = 1 / value;
          if (!perElement) m[this.#scratch.register(register) / width + r] = value;
        }
        if (perElement) this.#storeRow(o, i);
      }
      if (!perElement) {
        this.#pointRows(first, count);
        this.#storeRows(count, this.#outAt + first, 1);
      }
    }
  }

  /** The work of runAlong's rows from `first` on as a list for one call into WebAssembly; null where a part of it is JavaScript's. */
  #listFrom(first: number): StepList | null {
    const { loads, places, results, powers, storePlaces, listRegister } = this.#compiled;
    const { stages, perElement } = this.#kernel;
    const scratch = this.#scratch;
    const length = this.#length;
    const store = this.#store;
    if (this.#type !== 'f32' || this.#inner !== 1 || length < SHORT) return null;
    if (perElement && !(this.#native && store.computed)) return null;
    if (this.#inputs.some(({ move, sl }) => move !== null || sl >>> 0 > 1)) return null;
    const list = new StepList(this.#heap, this.#threads, scratch, this.#compiled.layout, listRegister);
    const outAt = this.#outAt + first * length;
    const begin = (program: Program, at: RowPlaces): void => {
      at.begin(program);
      for (const { slot, index } of program.inputs) {
        const input = this.#inputs[index];
        // or a stage's values, which lie in the output
        if (input === undefined) at.put(slot, outAt, 1, length);
        else at.put(slot, input.at + first * input.so, input.sl, input.so);
      }
    };
    const steps = ({ perRow, varying, indexSlot }: Program, at: RowPlaces): boolean => {
      if (perRow.count > 0) {
        list.part(1);
        if (!list.add(perRow, at)) return false;
      }
      if (!list.add(varying, at, true)) return false;
      // what is folded as it lies needs no blocks
      list.part(length, varying.count > 0 || indexSlot >= 0 ? BLOCK : length);
      if (indexSlot >= 0) list.countUp(at, indexSlot, 0, 0);
      return list.add(varying, at);
    };
    for (let s = 0; s < stages.length; s++) {
      const load = loads[s] as Program;
      const at = places[s] as RowPlaces;
      const combine = stages[s]?.combine ?? 'sum';
      if (combine === 'prod' || combine === 'argmax' || combine === 'argmin') return null;
      begin(load, at);
      if (s === this.#reused) at.put(load.result, outAt, 1, length);
      const { cell, register } = results[s] as { cell: number; register: number };
      const own = scratch.cell(cell) / 4;
      const to = perElement ? own : scratch.register(register) / 4;
      if (!steps(load, at) || !list.fold(combine, at, load.result, own, to, perElement && s === powers))
        return null;
    }
    if (!perElement) return list;
    begin(store, storePlaces);
    storePlaces.put(store.result, outAt, 1, length);
    return steps(store, storePlaces) ? list : null;
  }

  /** Sets a slot of `program` to `n` elements of an input, `step` apart, from the `l`-th of row (o, i) on. */
  #point(
    { base, stride }: Program,
    slot: number,
    input: RowInput,
    o: number,
    i: number,
    l: number,
    n: number,
    step: number,
  ): void {
    const at = input.at + o * input.so + l * input.sl + i * input.si;
    input.move?.(this.#heap, n, input.register, 1, at, step);
    base[slot] = input.move === null ? at : input.register;
    stride[slot] = input.move === null ? step : 1;
  }

  /** Sets the inputs of `program` to `n` elements from `l` on of row (o, i). */
  #pointAlong(program: Program, o: number, i: number, l: number, n: number): void {
    const { inputs, base, stride, indexSlot } = program;
    for (const { slot, index } of inputs) {
      const input = this.#inputs[index];
      if (input === undefined) {
        // a stage's values, which lie in the output
        base[slot] = this.#outAt + o * this.#length + l;
        stride[slot] = 1;
      } else this.#point(program, slot, input, o, i, l, n, input.sl);
    }
    if (indexSlot >= 0) countUp(this.#m, base[indexSlot] as number, l, n);
  }

  #foldRow(load: Program, s: number, o: number, i: number): number {
    const m = this.#m;
    const length = this.#length;
    const type = this.#type;
    const combine = this.#kernel.stages[s]?.combine ?? 'sum';
    if (load.perRow.count > 0) load.run(load.perRow, m, 1);
    // an input that is folded as it lies needs no blocks
    const plain =
      !load.computed && load.indexSlot < 0 && this.#inputs[load.inputs[0]?.index ?? 0]?.move === null;
    const block = plain ? Math.max(length, 1) : BLOCK;
    const extreme = combine === 'argmax' || combine === 'argmin';
    const best: Extreme = { value: identityOf(type, combine), place: 0 };
    let acc = best.value;
    for (let l = 0; l < length; l += block) {
      const n = Math.min(block, length - l);
      this.#pointAlong(load, o, i, l, n);
      if (s === this.#reused) load.base[load.result] = this.#outAt + o * length + l;
      if (load.varying.count > 0) load.run(load.varying, m, n);
      const a = load.base[load.result] as number;
      const sa = load.stride[load.result] as number;
      if (extreme) foldExtreme(m, n, a, sa, combine === 'argmax', l, best);
      else acc = foldOf(this.#heap, type, combine)(m, n, a, sa, acc);
    }
    return extreme ? best.place : acc;
  }

  #storeRow(o: number, i: number): void {
    const store = this.#store;
    const m = this.#m;
    const inner = this.#inner;
    const length = this.#length;
    const direct = this.#native && inner === 1 && store.computed;
    if (store.perRow.count > 0) store.run(store.perRow, m, 1);
    for (let l = 0; l < length; l += BLOCK) {
      const n = Math.min(BLOCK, length - l);
      this.#pointAlong(store, o, i, l, n);
      this.#put(n, this.#outAt + (o * length + l) * inner + i, inner, direct);
    }
  }

  /** Sets the inputs of a per-row store to the first elements of the rows from `first` on. */
  #pointRows(first: number, count: number): void {
    const { inputs, base, stride, indexSlot } = this.#store;
    const inner = this.#inner;
    if (indexSlot >= 0) this.#m[base[indexSlot] as number] = 0;
    if (inner === 1) {
      this.#pointAcross(this.#store, first, 0, 0, count, true);
      return;
    }
    for (const { slot, index } of inputs) {
      const input = this.#inputs[index] as RowInput;
      const move = input.move ?? moveBetween(NATIVE[this.#type], NATIVE[this.#type]);
      for (let r = 0; r < count; ) {
        const i = (first + r) % inner;
        const n = Math.min(count - r, inner - i);
        const o = (first + r - i) / inner;
        move(this.#heap, n, input.register + r, 1, input.at + o * input.so + i * input.si, input.si);
        r += n;
      }
      base[slot] = input.register;
      stride[slot] = 1;
    }
  }

  /** The per-row store of `n` rows whose results stand in the stages' registers. */
  #storeRows(n: number, to: number, step: number): void {
    const store = this.#store;
    if (store.perRow.count > 0) store.run(store.perRow, this.#m, n);
    this.#put(n, to, step, false);
  }

  /** Computes `n` results of the store and brings them to `to`, `step` apart; `direct`: they are computed there. */
  #put(n: number, to: number, step: number, direct: boolean): void {
    const store = this.#store;
    const { base, stride, result, varying } = store;
    if (direct) base[result] = to;
    if (varying.count > 0) store.run(varying, this.#m, n);
    if (!direct) this.#storeMove(this.#heap, n, to, step, base[result] as number, stride[result] as number);
  }

  /** Sets the inputs of `program` to the `l`-th elements of `n` rows from (o, i) on, along `outer` or `inner`. */
  #pointAcross(program: Program, o: number, i: number, l: number, n: number, alongOuter: boolean): void {
    const { inputs, base, indexSlot } = program;
    for (const { slot, index } of inputs) {
      const input = this.#inputs[index] as RowInput;
      this.#point(program, slot, input, o, i, l, n, alongOuter ? input.so : input.si);
    }
    if (indexSlot >= 0) this.#m[base[indexSlot] as number] = l;
  }

  /** All stages and the store of `n` rows side by side: rows (o …, i) where `alongOuter`, else (o, i …). */
  runAcross(o: number, i: number, n: number, alongOuter: boolean): void {
    const { loads, results } = this.#compiled;
    const store = this.#store;
    const { stages, perElement } = this.#kernel;
    const m = this.#m;
    const length = this.#length;
    const inner = this.#inner;
    for (let s = 0; s < stages.length; s++) {
      const load = loads[s] as Program;
      const result = results[s] as { register: number; extra: number };
      const acc = new RowAccumulators(
        this.#heap,
        this.#type,
        stages[s]?.combine ?? 'sum',
        n,
        this.#scratch.register(result.register),
        this.#scratch.register(result.extra),
      );
      if (load.perRow.count > 0) load.run(load.perRow, m, n);
      for (let l = 0; l < length; l++) {
        this.#pointAcross(load, o, i, l, n, alongOuter);
        if (load.varying.count > 0) load.run(load.varying, m, n);
        acc.add(load.base[load.result] as number, load.stride[load.result] as number, l);
      }
      acc.finish();
    }
    if (!perElement) {
      this.#pointAcross(store, o, i, 0, n, alongOuter);
      this.#storeRows(n, this.#outAt + o * inner + i, alongOuter ? inner : 1);
      return;
    }
    const step = alongOuter ? length * inner : 1;
    const direct = this.#native && step === 1 && store.computed;
    if (store.perRow.count > 0) store.run(store.perRow, m, n);
    for (let l = 0; l < length; l++) {
      this.#pointAcross(store, o, i, l, n, alongOuter);
      this.#put(n, this.#outAt + (o * length + l) * inner + i, step, direct);
    }
  }
}
