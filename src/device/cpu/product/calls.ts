// What is known of a product before its operands' places: found once for a program's step, and kept for single kernels of the same numbers.
import type { ComputeType } from '../../../core/dtype.ts';
import { sizeOf } from '../../../core/shape.ts';
import type { ProductKernel } from '../../../ir/kernel.ts';
import type { Margins } from './convTables.ts';
import { keyOf } from './convTables.ts';
import type { ConvGeometry } from './geometry.ts';
import { geometryOf, marginsOf, volume } from './geometry.ts';
import type { MatmulLayout, ProductJob } from './layout.ts';
import { isPlain, layoutOf, TINY } from './layout.ts';
import { PlanRef } from './plans.ts';
import type { CompiledEpilogue } from './store.ts';

type Distances = readonly [side: number, depth: number];

/** What a store does: bias (byte offset) by row or column, and the rectifier. */
export interface Finish {
  bias: number;
  readonly kind: 'none' | 'm' | 'n';
  readonly relu: boolean;
}

/** What is known of a matrix product before its operands' places: which job it is, and its tables once they are found. */
export class MatmulCall {
  readonly layout: MatmulLayout;
  readonly job: ProductJob;
  readonly plan: PlanRef;
  /** Distances of A's and B's neighbours, in elements: from row to row or column to column, and along the depth. */
  readonly a: Distances;
  readonly b: Distances;
  /** Whether a product without packing is done the other way round, because one column is one row then. */
  readonly turned: boolean;

  /** `compiled`: whether there are kernels for products without packing. */
  constructor({ transposeA, transposeB }: ProductKernel, layout: MatmulLayout, compiled: boolean) {
    this.layout = layout;
    const { M, N, K, aRow, bRow, cRow } = layout;
    this.a = transposeA ? [1, aRow] : [aRow, 1];
    this.b = transposeB ? [bRow, 1] : [1, bRow];
    this.turned = N === 1 && cRow === 1;
    const thin = this.turned ? isThin(N, M, K, this.b, this.a) : isThin(M, N, K, this.a, this.b);
    this.job = !compiled
      ? 'productTile'
      : M * N * K <= TINY
        ? 'stepsTile'
        : thin
          ? 'thinTile'
          : 'productTile';
    this.plan = new PlanRef(
      this.job === 'productTile' ? `${transposeA},${transposeB},${M},${N},${K},${aRow},${bRow},${cRow}` : '',
    );
  }
}

/**
 * Whether a product is as fast without packing. Rows of B that are read as they lie should be long; where columns lie so, A is read again for every four
 * of them and should stay in a near cache.
 */
function isThin(M: number, N: number, K: number, a: Distances, b: Distances): boolean {
  return b[0] === 1
    ? M <= 3 || (N >= 128 && (M <= 16 || K <= 16))
    : b[1] === 1 && a[1] === 1 && (M <= 4 || (M <= 64 && M * K <= 2 ** 16));
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
  readonly dims: readonly number[];
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
    this.dims = dims;
    this.finish = { bias: 0, kind: kernel.bias, relu: compiled.relu };
    const g = layout === null ? geometryOf(dims) : null;
    this.matmulCall = layout === null ? null : new MatmulCall(kernel, layout, type === 'f32');
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
