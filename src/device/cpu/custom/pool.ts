// Pooling over up to three axes. Computed in the compute type's own storage; other dtypes are converted before and after.
import { bytesOf, computeTypeOf } from '../../../core/dtype.ts';
import { sizeOf } from '../../../core/shape.ts';
import type { Operand } from '../../../ir/kernel.ts';
import { moveBetween } from '../convert.ts';
import type { Heap } from '../heap.ts';
import type { Cells } from '../loops/loop.ts';
import { NATIVE, widthOf } from '../program.ts';
import { identityOf } from '../reduce.ts';
import type { Temporaries } from '../temporaries.ts';
import type { Threads } from '../threads/threads.ts';

export type PoolKind = 'poolMax' | 'poolAvg' | 'poolSum';

/** What pooling and its gradients work with. */
export interface PoolWorks {
  readonly heap: Heap;
  readonly temporaries: Temporaries;
  readonly threads: Threads;
}

export function pool(
  works: PoolWorks,
  kind: PoolKind,
  x: Operand,
  y: Operand,
  dims: readonly number[],
): void {
  const outputs = sizeOf(y.shape);
  if (outputs === 0) return;
  const { heap, temporaries } = works;
  const type = computeTypeOf(x.dtype);
  const width = widthOf(type);
  const native = NATIVE[type];
  let from = x.storage.offset / bytesOf(x.dtype);
  let to = y.storage.offset / bytesOf(y.dtype);
  if (x.dtype !== native) {
    const n = sizeOf(x.shape);
    const at = temporaries.take(n * width) / width;
    moveBetween(x.dtype, native)(heap, n, at, 1, from, 1);
    from = at;
  }
  const final = to;
  if (y.dtype !== native) to = temporaries.take(outputs * width) / width;
  if (type === 'f32' && isFlat(dims)) runWindows(works, 'poolTile', kind, [from * 4, 0, to * 4], dims);
  else walk(heap[type], kind, from, to, dims, identityOf(type, 'max'));
  if (y.dtype !== native) moveBetween(native, y.dtype)(heap, outputs, final, 1, to, 1);
  temporaries.release();
}

/** Nanoseconds of one thread for an element of a window. */
const ELEMENT = 0.3;
/** Kinds in kernels/windows.ts. */
const CODE = { poolMax: 0, poolSum: 1, poolAvg: 2 } as const;

/** Whether windows have two axes: one plane each, one beside the other. */
export function isFlat(dims: readonly number[]): boolean {
  return dims[1] === dims[4] && dims[7] === 1 && dims[10] === 1 && dims[13] === 0;
}

/** A job of kernels/windows.ts, planes shared among threads. `places` (bytes): the data, what stands above, the result. */
export function runWindows(
  { heap, temporaries, threads }: PoolWorks,
  job: 'poolTile' | 'poolSpreadTile' | 'poolMaxGradTile',
  kind: PoolKind,
  places: readonly [number, number, number],
  dims: readonly number[],
): void {
  const at = (i: number): number => dims[i] ?? 0;
  const planes = at(0) * at(1);
  const sizes = [2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 16].map(at);
  // two rows of doubles with their margins, and what averages are divided by
  const bytes = 8 * (2 * at(3) + at(6) * (at(12) + 2) + 3 * at(9) + 2 * at(15) + 64);
  const fits = bytes <= threads.workBytes;
  const work = fits ? threads.work : temporaries.take(bytes);
  const fields = temporaries.take(17 * 4);
  const tiles = fits
    ? threads.tiles(planes * at(5) * at(6) * at(8) * at(9) * ELEMENT, Math.min(planes, 0xffff))
    : 1;
  const each = Math.ceil(planes / tiles);
  heap.u32.set([CODE[kind], ...places, planes, ...sizes, each], fields / 4);
  threads.run(job, fields, Math.ceil(planes / each), () => {
    for (let tile = 0; tile * each < planes; tile++) heap.kernels.vector[job](fields, tile, work);
  });
}

/** Folds a window of dz × dy × dx elements. */
function greatest(
  m: Cells,
  at: number,
  dz: number,
  planeStep: number,
  dy: number,
  rowStep: number,
  dx: number,
  acc: number,
): number {
  for (let z = 0; z < dz; z++)
    for (let y = 0; y < dy; y++) {
      const row = at + z * planeStep + y * rowStep;
      for (let i = row; i < row + dx; i++) acc = Math.max(acc, m[i] as number);
    }
  return acc;
}

function sumOf(
  m: Cells,
  at: number,
  dz: number,
  planeStep: number,
  dy: number,
  rowStep: number,
  dx: number,
  acc: number,
): number {
  for (let z = 0; z < dz; z++)
    for (let y = 0; y < dy; y++) {
      const row = at + z * planeStep + y * rowStep;
      for (let i = row; i < row + dx; i++) acc += m[i] as number;
    }
  return acc;
}

function walk(
  m: Cells,
  kind: PoolKind,
  from: number,
  to: number,
  dims: readonly number[],
  lowest: number,
): void {
  const at = (i: number): number => dims[i] as number;
  const planes = at(0);
  const [iD, iH, iW] = [at(1), at(2), at(3)];
  const [oD, oH, oW] = [at(4), at(5), at(6)];
  const [kD, kH, kW] = [at(7), at(8), at(9)];
  const [sD, sH, sW] = [at(10), at(11), at(12)];
  const [pD, pH, pW] = [at(13), at(14), at(15)];
  const withPadding = kind === 'poolAvg' && at(16) !== 0;
  const average = kind === 'poolAvg';
  const float = m instanceof Float32Array || m instanceof Float64Array;
  let o = to;
  for (let p = 0; p < planes; p++) {
    const plane = from + p * iD * iH * iW;
    for (let z = 0; z < oD; z++) {
      const z0 = z * sD - pD;
      const z1 = Math.max(0, z0);
      const dz = Math.max(0, Math.min(iD, z0 + kD) - z1);
      const paddedZ = Math.max(0, Math.min(z0 + kD, iD + pD) - z0);
      for (let y = 0; y < oH; y++) {
        const y0 = y * sH - pH;
        const y1 = Math.max(0, y0);
        const dy = Math.max(0, Math.min(iH, y0 + kH) - y1);
        const paddedY = Math.max(0, Math.min(y0 + kH, iH + pH) - y0);
        const row = plane + (z1 * iH + y1) * iW;
        for (let x = 0; x < oW; x++) {
          const x0 = x * sW - pW;
          const x1 = Math.max(0, x0);
          const dx = Math.max(0, Math.min(iW, x0 + kW) - x1);
          if (kind === 'poolMax') {
            m[o++] = greatest(m, row + x1, dz, iH * iW, dy, iW, dx, lowest);
            continue;
          }
          const total = sumOf(m, row + x1, dz, iH * iW, dy, iW, dx, 0);
          if (!average) {
            m[o++] = total;
            continue;
          }
          const count = withPadding
            ? paddedZ * paddedY * Math.max(0, Math.min(x0 + kW, iW + pW) - x0)
            : dz * dy * dx;
          // integers divide by zero to zero
          m[o++] = count === 0 && !float ? 0 : total / count;
        }
      }
    }
  }
}
