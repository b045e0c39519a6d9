// An expression as a list of steps over slots: common parts found once, what depends on scalars alone computed once a run, what depends
// on a row's results once a row, the rest in blocks by the loops of loops/. Nothing is interpreted per element.
import type { ComputeType, DType } from '../../core/dtype.ts';
import { bytesOf } from '../../core/dtype.ts';
import type { BinaryName, Expr, UnaryName } from '../../ir/expr.ts';
import { toStored } from './convert.ts';
import type { Cells, Loop, LoopTable } from './loops/loop.ts';
import { tablesFor } from './loops/tables.ts';
import type { Layout, Scratch } from './scratch.ts';
import { codeOf } from './wasm/loops.ts';

/** The dtype whose storage is the compute type itself. */
export const NATIVE: { readonly [K in ComputeType]: DType } = {
  f32: 'float32',
  f64: 'float64',
  i32: 'int32',
  u32: 'uint32',
};

/** Bytes of an element of the compute type. */
export function widthOf(type: ComputeType): number {
  return bytesOf(NATIVE[type]);
}

/** When a slot's value is known: once a run, once a row (it depends on stages), or per element. */
export type Level = 0 | 1 | 2;

type Operation =
  | { readonly kind: 'unary'; readonly name: UnaryName }
  | { readonly kind: 'binary'; readonly name: BinaryName }
  | { readonly kind: 'select' };

interface Step {
  readonly operation: Operation;
  readonly dst: number;
  readonly operands: readonly number[];
}

/** A leaf that the runner fills: which input, scalar or stage stands in which slot. */
interface Leaf {
  readonly slot: number;
  readonly index: number;
}

interface Place {
  /** The scalar's cell, −1 for none. */
  readonly cell: number;
  /** The block's register among `kept` or `temps`, −1 for none. */
  readonly register: number;
  readonly temp: boolean;
}

const NOWHERE: Place = { cell: -1, register: -1, temp: false };

/** Steps that lists do together: exp at `exp` with −a or a − b before it, with 1 / (1 + y) after it, or with both; the last of them. */
export interface Chain {
  readonly exp: number;
  readonly last: number;
}

/** Steps of one level, flat: [dst, a, b, c] in slots for each. */
export class Steps {
  readonly count: number;
  readonly #operations: readonly Operation[];
  readonly code: Int32Array;
  loops: readonly Loop[] = [];
  /** The loops' numbers in lists for `run` of kernels/vector.ts. */
  codes: readonly number[] = [];
  /** By their first steps. */
  readonly chains: ReadonlyMap<number, Chain>;

  constructor(steps: readonly Step[], { results, constants }: Linear) {
    this.chains = chainsOf(
      steps,
      results,
      new Set(constants.filter((c) => c.value === 1).map((c) => c.slot)),
    );
    this.count = steps.length;
    this.#operations = steps.map((s) => s.operation);
    this.code = new Int32Array(steps.length * 4);
    steps.forEach((s, i) => {
      const [a = 0, b = a, c = a] = s.operands;
      this.code.set([s.dst, a, b, c], i * 4);
    });
  }

  settle(table: LoopTable): void {
    this.loops = this.#operations.map((op) =>
      op.kind === 'unary'
        ? table.unary[op.name]
        : op.kind === 'binary'
          ? table.binary[op.name]
          : table.select,
    );
    this.codes = this.loops.map(codeOf);
  }
}

export class Program {
  readonly inputs: readonly Leaf[];
  readonly scalars: readonly Leaf[];
  readonly stages: readonly Leaf[];
  readonly constants: readonly { readonly slot: number; readonly value: number }[];
  /** The slot of `index` and of `length`, −1 where the expression has none. */
  readonly indexSlot: number;
  readonly lengthSlot: number;
  /** The slot and level of the whole expression (the first, where there are several). */
  readonly result: number;
  readonly level: Level;
  /** Whether a varying step makes the result (else it is a leaf or a scalar, and has to be copied). */
  readonly computed: boolean;
  /** The slots of all expressions, and whether varying steps make them. */
  readonly results: readonly number[];
  readonly computes: readonly boolean[];
  readonly fixed: Steps;
  readonly perRow: Steps;
  readonly varying: Steps;
  /** Where each slot's elements begin, in elements of the compute type, and the stride from one to the next. */
  readonly base: Int32Array;
  readonly stride: Int32Array;

  readonly #places: readonly Place[];
  readonly #layout: Layout;
  #type: ComputeType | undefined;
  #version = -1;
  #table: LoopTable | undefined;
  #rows: boolean | undefined;
  /** The results' own places. */
  readonly #homes: Int32Array;

  /** Cells and registers are counted in `layout`, which programs that run together share. `others`: further expressions, computed with the first. */
  constructor(expr: Expr, layout: Layout, others: readonly Expr[] = []) {
    const built = linearise([expr, ...others]);
    const places = assign(built, layout);
    this.#places = places;
    this.#layout = layout;
    this.inputs = built.inputs;
    this.scalars = built.scalars;
    this.stages = built.stages;
    this.constants = built.constants;
    this.indexSlot = built.indexSlot;
    this.lengthSlot = built.lengthSlot;
    this.results = built.results;
    this.result = built.results[0] as number;
    this.level = built.levels[this.result] ?? 0;
    const at = (level: Level): Step[] => built.steps.filter((s) => built.levels[s.dst] === level);
    this.fixed = new Steps(at(0), built);
    this.perRow = new Steps(at(1), built);
    this.varying = new Steps(at(2), built);
    this.computes = built.results.map((result) => at(2).some((s) => s.dst === result));
    this.computed = this.computes[0] === true;
    this.#homes = new Int32Array(built.results.length);
    this.base = new Int32Array(built.levels.length);
    this.stride = new Int32Array(built.levels.length);
  }

  /**
   * Makes ready for a compute type: places of cells and registers, loops. `rows`: slots of level 1 hold one value per row of a block of rows,
   * else a scalar. `size`: how many elements the whole kernel has. The caller has made room in `scratch` for the whole layout.
   */
  settle(type: ComputeType, scratch: Scratch, rows: boolean, size: number): void {
    const table = tablesFor(scratch.loops, size)[type];
    if (table !== this.#table) {
      this.fixed.settle(scratch.loops.few[type]);
      this.perRow.settle(table);
      this.varying.settle(table);
      this.#table = table;
    }
    if (type === this.#type && scratch.version === this.#version && rows === this.#rows) {
      // a run before may have written its results elsewhere
      for (let i = 0; i < this.#homes.length; i++)
        this.base[this.results[i] as number] = this.#homes[i] as number;
      return;
    }
    const width = widthOf(type);
    for (let slot = 0; slot < this.#places.length; slot++) {
      const place = this.#places[slot] as Place;
      // the place along the axis varies within a row and is one number for a block of rows
      const asBlock = slot === this.indexSlot ? !rows : rows;
      const inRegister = place.register >= 0 && (place.cell < 0 || asBlock);
      if (inRegister) {
        const register = place.temp ? this.#layout.kept + place.register : place.register;
        this.base[slot] = scratch.register(register) / width;
        this.stride[slot] = 1;
      } else if (place.cell >= 0) {
        this.base[slot] = scratch.cell(place.cell) / width;
        this.stride[slot] = 0;
      }
    }
    for (let i = 0; i < this.#homes.length; i++) this.#homes[i] = this.base[this.results[i] as number] ?? 0;
    this.#type = type;
    this.#version = scratch.version;
    this.#rows = rows;
  }

  /** Fills the cells of constants, scalars and `length` and computes what follows from them alone. */
  begin(m: Cells, type: ComputeType, scalars: readonly number[], length: number): void {
    const { base, constants } = this;
    for (let i = 0; i < constants.length; i++) {
      const leaf = constants[i] as { slot: number; value: number };
      m[base[leaf.slot] as number] = store(leaf.value, type);
    }
    for (let i = 0; i < this.scalars.length; i++) {
      const leaf = this.scalars[i] as Leaf;
      m[base[leaf.slot] as number] = store(scalars[leaf.index] ?? Number.NaN, type);
    }
    if (this.lengthSlot >= 0) m[base[this.lengthSlot] as number] = length;
    if (this.fixed.count > 0) this.run(this.fixed, m, 1);
  }

  /** Runs the steps on `n` elements, n ≤ BLOCK unless every slot they write is the caller's. */
  run(steps: Steps, m: Cells, n: number): void {
    const { code, loops, count } = steps;
    const { base, stride } = this;
    for (let s = 0, at = 0; s < count; s++, at += 4) {
      const a = code[at + 1] as number;
      const b = code[at + 2] as number;
      const c = code[at + 3] as number;
      (loops[s] as Loop)(
        m,
        n,
        base[code[at] as number] as number,
        base[a] as number,
        stride[a] as number,
        base[b] as number,
        stride[b] as number,
        base[c] as number,
        stride[c] as number,
      );
    }
  }
}

/** `ones`: slots that hold 1. */
function chainsOf(
  steps: readonly Step[],
  results: readonly number[],
  ones: ReadonlySet<number>,
): Map<number, Chain> {
  const chains = new Map<number, Chain>();
  const nameOf = (i: number): string | undefined => {
    const operation = steps[i]?.operation;
    return operation?.kind === 'select' ? 'select' : operation?.name;
  };
  /** Whether step i's number goes into the step after it, and nowhere else. */
  const passes = (i: number): boolean => {
    const { dst } = steps[i] as Step;
    const readers = steps.filter(({ operands }) => operands.includes(dst));
    return readers.length === 1 && readers[0] === steps[i + 1] && !results.includes(dst);
  };
  steps.forEach((_, exp) => {
    if (nameOf(exp) !== 'exp') return;
    const before = nameOf(exp - 1);
    const first = (before === 'neg' || before === 'sub') && passes(exp - 1) ? exp - 1 : exp;
    const sum = steps[exp + 1]?.operands;
    const isShare =
      nameOf(exp + 1) === 'add' &&
      nameOf(exp + 2) === 'div' &&
      passes(exp) &&
      passes(exp + 1) &&
      sum?.some((slot) => ones.has(slot)) === true &&
      ones.has(steps[exp + 2]?.operands[0] as number);
    const last = isShare ? exp + 2 : exp;
    if (last > first) chains.set(first, { exp, last });
  });
  return chains;
}

/** A number in the compute type, as its cells hold it. */
function store(value: number, type: ComputeType): number {
  return type === 'f32' || type === 'f64' ? value : toStored(value, NATIVE[type], true);
}

interface Linear {
  readonly inputs: Leaf[];
  readonly scalars: Leaf[];
  readonly stages: Leaf[];
  readonly constants: { slot: number; value: number }[];
  readonly steps: Step[];
  readonly levels: Level[];
  indexSlot: number;
  lengthSlot: number;
  results: readonly number[];
}

/** Numbers the values of expressions: equal parts get one slot. */
function linearise(exprs: readonly Expr[]): Linear {
  const out: Linear = {
    inputs: [],
    scalars: [],
    stages: [],
    constants: [],
    steps: [],
    levels: [],
    indexSlot: -1,
    lengthSlot: -1,
    results: [],
  };
  const byKey = new Map<string, number>();
  const byNode = new Map<Expr, number>();

  const slotOf = (key: string, level: Level, fill: (slot: number) => void): number => {
    const known = byKey.get(key);
    if (known !== undefined) return known;
    const slot = out.levels.length;
    out.levels.push(level);
    byKey.set(key, slot);
    fill(slot);
    return slot;
  };
  const step = (key: string, operation: Operation, operands: readonly number[]): number => {
    const level = Math.max(...operands.map((s) => out.levels[s] as Level)) as Level;
    return slotOf(`${key}(${operands.join()})`, level, (dst) => out.steps.push({ operation, dst, operands }));
  };
  const visit = (x: Expr): number => {
    let slot = byNode.get(x);
    if (slot === undefined) {
      slot = visitNew(x);
      byNode.set(x, slot);
    }
    return slot;
  };
  const visitNew = (x: Expr): number => {
    switch (x.kind) {
      case 'input':
        return slotOf(`i${x.index}`, 2, (slot) => out.inputs.push({ slot, index: x.index }));
      case 'scalar':
        return slotOf(`s${x.index}`, 0, (slot) => out.scalars.push({ slot, index: x.index }));
      case 'stage':
        return slotOf(`r${x.index}`, 1, (slot) => out.stages.push({ slot, index: x.index }));
      case 'const':
        return slotOf(Object.is(x.value, -0) ? 'c-0' : `c${x.value}`, 0, (slot) =>
          out.constants.push({ slot, value: x.value }),
        );
      case 'index':
        return slotOf('#', 2, (slot) => (out.indexSlot = slot));
      case 'length':
        return slotOf('L', 0, (slot) => (out.lengthSlot = slot));
      case 'unary':
        return step(x.name, { kind: 'unary', name: x.name }, [visit(x.a)]);
      case 'binary':
        return step(x.name, { kind: 'binary', name: x.name }, [visit(x.a), visit(x.b)]);
      case 'select':
        return step('select', { kind: 'select' }, [visit(x.test), visit(x.yes), visit(x.no)]);
    }
  };
  out.results = exprs.map(visit);
  return out;
}

/** Cells for what is scalar; registers for blocks, those of passing values used again after their last reader. */
function assign(built: Linear, layout: Layout): Place[] {
  const { levels, steps } = built;
  const places: Place[] = levels.map(() => NOWHERE);
  for (let slot = 0; slot < levels.length; slot++) {
    if (levels[slot] === 0) places[slot] = { cell: layout.cells++, register: -1, temp: false };
  }
  const lastRead = new Array<number>(levels.length).fill(-1);
  steps.forEach((s, i) => {
    for (const operand of s.operands) lastRead[operand] = i;
  });
  // several results stand side by side in the end
  if (built.results.length > 1) for (const result of built.results) lastRead[result] = steps.length;
  const free: number[] = [];
  let temps = 0;
  steps.forEach((s, i) => {
    const level = levels[s.dst];
    if (level === 1) places[s.dst] = { cell: layout.cells++, register: layout.kept++, temp: false };
    if (level !== 2) return;
    // an operand's register that is read for the last time may take the result: loops go forward element by element
    for (const operand of new Set(s.operands)) {
      const place = places[operand] as Place;
      if (place.temp && lastRead[operand] === i) free.push(place.register);
    }
    places[s.dst] = { cell: -1, register: free.pop() ?? temps++, temp: true };
  });
  if (built.indexSlot >= 0)
    places[built.indexSlot] = { cell: layout.cells++, register: layout.kept++, temp: false };
  layout.temps = Math.max(layout.temps, temps);
  return places;
}
