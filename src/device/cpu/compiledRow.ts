// A row kernel's programs and what they need of the scratch memory; how they are run is rowCall.ts's.
import { e, exprKey } from '../../ir/expr.ts';
import type { RowKernel } from '../../ir/kernel.ts';
import { Program } from './program.ts';
import { findPowers, findReuse } from './reuse.ts';
import { Layout } from './scratch.ts';
import { RowPlaces } from './stepList.ts';

export class CompiledRow {
  readonly layout = new Layout();
  readonly loads: readonly Program[];
  readonly store: Program;
  /**
   * Where the store computes again what a stage has loaded, as softmax does with its exponentials: that stage, and a store which reads the values as one more
   * input. −1 and the store itself where it does not.
   */
  readonly reused: number;
  readonly storeReusing: Program;
  /** The stage that adds up softmax's exponentials, −1 for none. */
  readonly powers: number;
  /** Whether the whole is the softmax of an input. */
  readonly isSoftmax: boolean;
  readonly inputRegisters: readonly number[];
  /** For rows that one call into WebAssembly does: the register of its list, and where things lie for each of the loads and for the store. */
  readonly listRegister: number;
  readonly places: readonly RowPlaces[];
  readonly storePlaces: RowPlaces;
  /** Per stage: the cell of a row's result, the register of a block's results, and one for accumulators; in the end that of the reciprocal of softmax's sum, next to the sum. */
  readonly results: readonly { readonly cell: number; readonly register: number; readonly extra: number }[];

  constructor(kernel: RowKernel) {
    const layout = this.layout;
    this.inputRegisters = Array.from({ length: kernel.inputs }, () => layout.kept++);
    const results = kernel.stages.map(() => ({
      cell: layout.cells++,
      register: layout.kept++,
      extra: layout.kept++,
    }));
    this.powers = findPowers(kernel);
    const sum = results[this.powers];
    if (sum !== undefined) {
      sum.cell = layout.cells++;
      results.push({ ...sum, cell: layout.cells++ });
    }
    this.results = results;
    this.loads = kernel.stages.map((stage) => new Program(stage.load, layout));
    this.store = new Program(kernel.store, layout);
    const { stage, store } = findReuse(kernel, this.powers);
    this.reused = stage;
    const { stages, perElement } = kernel;
    this.isSoftmax =
      perElement &&
      this.powers === 1 &&
      stages.length === 2 &&
      stages[0]?.load.kind === 'input' &&
      store !== null &&
      exprKey(store) === exprKey(e.mul(e.input(1), e.stage(2)));
    this.storeReusing = store === null ? this.store : new Program(store, layout);
    this.listRegister = layout.kept++;
    this.places = this.loads.map((load) => new RowPlaces(load));
    this.storePlaces = new RowPlaces(
      this.storeReusing.base.length > this.store.base.length ? this.storeReusing : this.store,
    );
  }
}
