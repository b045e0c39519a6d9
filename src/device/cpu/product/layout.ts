// How the matrices of a product lie.
import type { ProductKernel } from '../../../ir/kernel.ts';

/** Up to this many multiplications a product is not packed, and one of float32 is summed step by step (`steps` in kernels/thin.ts). */
export const TINY = 4096;

/** Products of one size; distances in elements. */
export interface Batch {
  readonly batch: number;
  /** Matrix β begins at ⌊β / inner⌋·batch + (β mod inner)·inner of its operand. */
  readonly inner: number;
  readonly aSteps: readonly [batch: number, inner: number];
  readonly bSteps: readonly [batch: number, inner: number];
  readonly cSteps: readonly [batch: number, inner: number];
  /** From one's part of the bias to the next one's; none: one bias for all. */
  readonly biasStep?: number;
}

/** The numbers of a matrix product; distances in elements. */
export interface MatmulLayout extends Batch {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  /** From row to row of the matrices as they are stored. */
  readonly aRow: number;
  readonly bRow: number;
  readonly cRow: number;
}

/** `dims` of a matmul (see ir/kernel.ts), with a batch that shares one B taken as more rows of A. */
export function layoutOf(kernel: ProductKernel, dims: readonly number[]): MatmulLayout {
  const [batch = 0, M = 0, N = 0, K = 0, aBatch = 0, bBatch = 0] = dims;
  if (dims.length > 6) {
    const [inner = 1, aInner = 0, bInner = 0, aRow = 0, bRow = 0, cBatch = 0, cInner = 0, cRow = 0] =
      dims.slice(6);
    const [aSteps, bSteps, cSteps] = [
      [aBatch, aInner],
      [bBatch, bInner],
      [cBatch, cInner],
    ] as const;
    return { batch, M, N, K, aRow, bRow, cRow, inner, aSteps, bSteps, cSteps };
  }
  const [aRow, bRow] = [kernel.transposeA ? M : K, kernel.transposeB ? K : N];
  const rest = {
    N,
    K,
    aRow,
    bRow,
    cRow: N,
    inner: 1,
    aSteps: [aBatch, 0],
    bSteps: [bBatch, 0],
    cSteps: [M * N, 0],
  } as const;
  const joined = batch > 1 && bBatch === 0 && aBatch === M * K && !kernel.transposeA && kernel.bias !== 'm';
  return joined ? { batch: 1, M: M * batch, ...rest } : { batch, M, ...rest };
}

/** Where matrix `i` begins. */
export function startOf([batch, inner]: readonly [number, number], i: number, of: Batch): number {
  const place = i % of.inner;
  return ((i - place) / of.inner) * batch + place * inner;
}

/** Whether the results lie one after the other. */
export function isPlain({ batch, M, N, inner, cRow, cSteps }: MatmulLayout): boolean {
  return cRow === N && (batch <= 1 || (cSteps[0] === inner * M * N && (inner === 1 || cSteps[1] === M * N)));
}

/** Jobs of kernels/product.ts and kernels/thin.ts: packed; few rows or steps; few multiplications. */
export type ProductJob = 'productTile' | 'thinTile' | 'stepsTile';

/** How products are cut into tiles: rows and columns of one, tiles side by side and of a matrix; or how many whole matrices a tile is. */
export interface Cut {
  readonly tileRows: number;
  readonly tileColumns: number;
  readonly across: number;
  readonly tiles: number;
  readonly matrices: number;
}
