// What is known of a product before its operands' places: found once for a program's step, and at each call of a single kernel.
import type { ComputeType } from '../../../core/dtype.ts';
import { sizeOf } from '../../../core/shape.ts';
import type { ProductKernel } from '../../../ir/kernel.ts';
import type { Margins } from './convTables.ts';
import { keyOf } from './convTables.ts';
import type { ConvGeometry } from './geometry.ts';
import { geometryOf, marginsOf, volume } from './geometry.ts';
import type { MatmulLayout } from './layout.ts';
import { isPlain, layoutOf, TINY } from './layout.ts';
import { PlanRef } from './plans.ts';
import type { CompiledEpilogue } from './store.ts';

/** Rows of A up to which a product is not packed. */
const THIN = 3;

/** What a store does: bias (byte offset) by row or column, and the rectifier. */
export interface Finish {
  bias: number;
  readonly kind: 'none' | 'm' | 'n';
  readonly relu: boolean;
}

/** What is known of a matrix product before its operands' places: which road it takes, and its tables once they are found. */
export class MatmulCall {
  readonly kernel: ProductKernel;
  readonly layout: MatmulLayout;
  readonly road: 'steps' | 'thin' | 'packed';
  readonly plan: PlanRef;

  constructor(kernel: ProductKernel, layout: MatmulLayout) {
    this.kernel = kernel;
    this.layout = layout;
    const { transposeA, transposeB } = kernel;
    const { M, N, K, aRow, bRow, cRow } = layout;
    // a row of a transposed A must lie together where the columns of B do
    const thin = M <= THIN && K > 0 && (!transposeA || (M === 1 && (aRow === 1 || !transposeB)));
    this.road = M * N * K <= TINY ? 'steps' : thin ? 'thin' : 'packed';
    this.plan = new PlanRef(
      this.road === 'packed'
        ? `${transposeA ? 't' : 'n'}${transposeB ? 't' : 'n'}${M},${N},${K},${aRow},${bRow},${cRow}`
        : '',
    );
  }
}

/** As much of a convolution or its gradient. */
export class ConvCall {
  readonly form: ProductKernel['form'];
  readonly g: ConvGeometry;
  readonly margins: Margins;
  readonly plan: PlanRef;
  #residues: Map<number, PlanRef> | null = null;
  #parts: Map<number, ConvCall> | null = null;

  constructor(form: ProductKernel['form'], g: ConvGeometry) {
    this.form = form;
    this.g = g;
    this.margins = marginsOf(form, g);
    this.plan = new PlanRef(`${form}${keyOf(g)}`);
  }

  /** The tables of the places from `start` on. */
  residueOf(start: number): PlanRef {
    this.#residues ??= new Map();
    let ref = this.#residues.get(start);
    if (ref === undefined) {
      ref = new PlanRef(`${this.plan.key},${start}`);
      this.#residues.set(start, ref);
    }
    return ref;
  }

  /** The same over fewer images. */
  part(images: number): ConvCall {
    this.#parts ??= new Map();
    let part = this.#parts.get(images);
    if (part === undefined) {
      part = new ConvCall(this.form, { ...this.g, N: images });
      this.#parts.set(images, part);
    }
    return part;
  }
}

/** All of it, whatever the form. */
export class ProductCall {
  readonly kernel: ProductKernel;
  readonly compiled: CompiledEpilogue;
  readonly type: ComputeType;
  readonly matmulCall: MatmulCall | null;
  readonly convCall: ConvCall | null;
  /** The output as matrices: how many, rows (channels), columns. */
  readonly shape: readonly [number, number, number];
  readonly size: number;
  /** Whether the results lie one after the other. */
  readonly plain: boolean;
  readonly finish: Finish;
  #inOrder: ProductCall | null = null;

  constructor(
    kernel: ProductKernel,
    compiled: CompiledEpilogue,
    type: ComputeType,
    dims: readonly number[],
    layout: MatmulLayout | null = kernel.form === 'matmul' ? layoutOf(kernel, dims) : null,
  ) {
    this.kernel = kernel;
    this.compiled = compiled;
    this.type = type;
    this.finish = { bias: 0, kind: kernel.bias, relu: compiled.relu };
    const g = layout === null ? geometryOf(dims) : null;
    this.matmulCall = layout === null ? null : new MatmulCall(kernel, layout);
    this.convCall = g === null ? null : new ConvCall(kernel.form, g);
    this.shape =
      g === null ? [dims[0] as number, dims[1] as number, dims[2] as number] : matricesOf(kernel.form, g);
    this.size = sizeOf(this.shape);
    this.plain = layout === null || isPlain(layout);
  }

  /** The same product with its results one after the other. */
  inOrder(): ProductCall {
    if (this.plain || this.matmulCall === null) return this;
    if (this.#inOrder === null) {
      const { layout } = this.matmulCall;
      const { M, N, inner } = layout;
      const plain = { ...layout, cRow: N, cSteps: [inner * M * N, M * N] } as const;
      this.#inOrder = new ProductCall(this.kernel, this.compiled, this.type, this.shape, plain);
    }
    return this.#inOrder;
  }
}

function matricesOf(form: ProductKernel['form'], g: ConvGeometry): [number, number, number] {
  if (form === 'conv') return [g.N, g.O, volume(g.o)];
  return form === 'convGradData' ? [g.N, g.C, volume(g.i)] : [1, g.O, (g.C / g.groups) * volume(g.k)];
}
