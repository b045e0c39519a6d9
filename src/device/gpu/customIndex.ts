// Kernels that read or write where an array of indices says: take, takeAlong, gatherNd, scatterNd, scatterAddNd.
// Reads are gathers. Writes with repeated indices give the same result in every run: for scatterNd the last one wins (an owner per place is found first),
// scatterAddNd adds in ascending order (writers of one place are brought together first; the first of them adds for all).

import gatherNdBody from '../../../shaders/gather_nd.wgsl?raw';
import scatterBody from '../../../shaders/scatter.wgsl?raw';
import scatterAddBody from '../../../shaders/scatter_add.wgsl?raw';
import scatterClaimBody from '../../../shaders/scatter_claim.wgsl?raw';
import takeBody from '../../../shaders/take.wgsl?raw';
import type { DType } from '../../core/dtype.ts';
import type { Operand } from '../../ir/kernel.ts';
import { dispatchGather, gatherParams, gatherShader } from './customGather.ts';
import type { Buffer } from './customShader.ts';
import {
  accessOf,
  dimAt,
  dispatchThreads,
  headOf,
  indexFunction,
  operandAt,
  putBuffer,
  putFunction,
  shaderFor,
} from './customShader.ts';
import { KEY_PARAMS, lowerOrder } from './customSort.ts';
import type { DispatchSink, GpuShader } from './lowering.ts';
import { bitsToValue, convertBits, movedAs, valueToBits, wgslTypeOf } from './wgslTypes.ts';

/** Up to this many writers, each looks through the others itself: one dispatch. */
const FEW = 64;

function readBuffers(x: DType, index: DType): readonly Buffer[] {
  return [
    { name: 'x', access: 'read', dtype: x },
    { name: 'index', access: 'read', dtype: index },
  ];
}

function convertFunction(from: DType, to: DType): string {
  return `fn convert(bits: u32) -> u32 { return ${convertBits('bits', from, to)}; }\n`;
}

/** Same dtype on both sides: any of that width will do. */
function moved(x: DType, y: DType): readonly [DType, DType] {
  return x === y ? [movedAs(x), movedAs(x)] : [x, y];
}

/** Lowers `take` and `takeAlong`: dims [outer, extent, inner, count, mode]. */
export function lowerTake(
  sink: DispatchSink,
  along: boolean,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
): void {
  const [x, index, y] = [operandAt(inputs, 0), operandAt(inputs, 1), operandAt(outputs, 0)];
  const count = dimAt(dims, 0) * dimAt(dims, 2) * dimAt(dims, 3);
  if (count === 0) return;
  const [from, to] = moved(x.dtype, y.dtype);
  const shader = gatherShader(
    sink,
    `take${along ? 'Along' : ''} ${from} ${index.dtype}`,
    to,
    readBuffers(from, index.dtype),
    () =>
      [
        convertFunction(from, to),
        indexFunction(index.dtype),
        `const ALONG: bool = ${along};\n`,
        takeBody,
      ].join(''),
  );
  gatherParams(sink, 0, count);
  for (let i = 1; i < 5; i++) sink.u32(dimAt(dims, i));
  dispatchGather(sink, shader, [x.storage, index.storage, y.storage], to, 0, count);
}

/**
 * `fn cell(n) -> u32`: the place that the n-th column of indices names, in slices. Parameters from `first`: the number of columns, then the extents.
 * Negative indices count from the end; then clipped.
 */
function cellFunction(index: DType, depth: number, first: number): string {
  const lines = ['  var at = 0u;'];
  for (let q = 0; q < depth; q++) {
    lines.push(
      `  at = at * pu(${first + 1 + q}) + place(index_at(${q}u * pu(${first}) + n), pi(${first + 1 + q}));`,
    );
  }
  return `${indexFunction(index)}fn place(k: i32, extent: i32) -> u32 { return u32(clamp(select(k, k + extent, k < 0), 0, extent - 1)); }
fn cell(n: u32) -> u32 {\n${lines.join('\n')}\n  return at;\n}\n`;
}

function cellParams(sink: DispatchSink, dims: readonly number[]): void {
  sink.u32(dimAt(dims, 0));
  for (let q = 0; q < dimAt(dims, 1); q++) sink.u32(dimAt(dims, 3 + q));
}

/** The number of slices that indices can name. */
function cellsOf(dims: readonly number[]): number {
  let cells = 1;
  for (let q = 0; q < dimAt(dims, 1); q++) cells *= dimAt(dims, 3 + q);
  return cells;
}

/** Lowers `gatherNd`: dims [count, depth, slice, extents…]. */
export function lowerGatherNd(
  sink: DispatchSink,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
): void {
  const [x, index, y] = [operandAt(inputs, 0), operandAt(inputs, 1), operandAt(outputs, 0)];
  const depth = dimAt(dims, 1);
  const slice = dimAt(dims, 2);
  const count = dimAt(dims, 0) * slice;
  if (count === 0) return;
  const [from, to] = moved(x.dtype, y.dtype);
  const shader = gatherShader(
    sink,
    `gatherNd ${depth} ${from} ${index.dtype}`,
    to,
    readBuffers(from, index.dtype),
    () => [convertFunction(from, to), cellFunction(index.dtype, depth, 3), gatherNdBody].join(''),
  );
  gatherParams(sink, 0, count);
  sink.u32(slice);
  cellParams(sink, dims);
  dispatchGather(sink, shader, [x.storage, index.storage, y.storage], to, 0, count);
}

/** One of the passes that find who owns a place: `clear` the owners, or `claim` places for the highest n. */
function claimShader(pass: 'clear' | 'claim', index: DType, depth: number): GpuShader {
  return shaderFor(`scatterNd ${pass} ${depth} ${index}`, () => {
    const buffers: readonly Buffer[] = [
      { name: 'index', access: 'read', dtype: index },
      { name: 'owners', access: 'read_write', atomic: true },
    ];
    return {
      label: 'scatterNd',
      bindings: accessOf(buffers),
      code: () =>
        [
          headOf(buffers),
          cellFunction(index, depth, 1),
          `const CLAIM: bool = ${pass === 'claim'};\n`,
          scatterClaimBody,
        ].join(''),
    };
  });
}

/** Lowers `scatterNd`: dims as gatherNd. */
export function lowerScatterNd(
  sink: DispatchSink,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
): void {
  const [x, index, y] = [operandAt(inputs, 0), operandAt(inputs, 1), operandAt(outputs, 0)];
  const [count, depth, slice] = [dimAt(dims, 0), dimAt(dims, 1), dimAt(dims, 2)];
  const cells = cellsOf(dims);
  if (count === 0 || slice === 0 || cells === 0) return;
  const [from, to] = moved(x.dtype, y.dtype);
  const few = count <= FEW;
  const shader = shaderFor(`scatterNd ${few ? 'few' : 'owned'} ${depth} ${from} ${index.dtype}>${to}`, () => {
    const buffers: readonly Buffer[] = [
      ...readBuffers(from, index.dtype),
      ...(few ? [] : [{ name: 'owners', access: 'read' } as const]),
      putBuffer(to),
    ];
    const owned = few
      ? 'fn owned(n: u32) -> bool {\n  let c = cell(n);\n  for (var m = n + 1u; m < pu(1); m++) { if (cell(m) == c) { return false; } }\n  return true;\n}\n'
      : 'fn owned(n: u32) -> bool { return owners[cell(n)] == n + 1u; }\n';
    return {
      label: 'scatterNd',
      bindings: accessOf(buffers),
      code: () =>
        [
          headOf(buffers),
          convertFunction(from, to),
          cellFunction(index.dtype, depth, 1),
          putFunction(to),
          owned,
          scatterBody,
        ].join(''),
    };
  });
  const storages = [x.storage, index.storage];
  if (!few) {
    const owners = sink.temporary(4 * cells);
    for (const pass of ['clear', 'claim'] as const) {
      const threads = pass === 'clear' ? cells : count;
      sink.u32(threads);
      cellParams(sink, dims);
      dispatchThreads(sink, claimShader(pass, index.dtype, depth), [index.storage, owners], threads);
    }
    storages.push(owners);
  }
  storages.push(y.storage);
  sink.u32(slice);
  cellParams(sink, dims);
  dispatchThreads(sink, shader, storages, count * slice);
}

/** Lowers `scatterAddNd`: dims as gatherNd; float32, int32 or uint32. */
export function lowerScatterAddNd(
  sink: DispatchSink,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
): void {
  const [x, index, y] = [operandAt(inputs, 0), operandAt(inputs, 1), operandAt(outputs, 0)];
  const [count, depth, slice] = [dimAt(dims, 0), dimAt(dims, 1), dimAt(dims, 2)];
  if (count === 0 || slice === 0 || cellsOf(dims) === 0) return;
  const few = count <= FEW;
  const shader = shaderFor(
    `scatterAddNd ${few ? 'few' : 'ordered'} ${depth} ${x.dtype} ${index.dtype}>${y.dtype}`,
    () => {
      const type = wgslTypeOf(y.dtype);
      const buffers: readonly Buffer[] = [
        { name: 'x', access: 'read', dtype: x.dtype },
        ...(few
          ? [{ name: 'index', access: 'read', dtype: index.dtype } as const]
          : [{ name: 'cells', access: 'read' } as const, { name: 'order', access: 'read' } as const]),
        { name: 'y', access: 'read_write', dtype: y.dtype },
      ];
      return {
        label: 'scatterAddNd',
        bindings: accessOf(buffers),
        code: () =>
          [
            headOf(buffers),
            few ? cellFunction(index.dtype, depth, 1) : '',
            `alias T = ${type};
const ORDERED: bool = ${!few};
fn cell_of(p: u32) -> u32 { return ${few ? 'cell(p)' : 'cells[p]'}; }
fn writer(p: u32) -> u32 { return ${few ? 'p' : 'order[p]'}; }
fn load(bits: u32) -> T { return ${bitsToValue(convertBits('bits', x.dtype, y.dtype), y.dtype)}; }
fn value(bits: u32) -> T { return ${bitsToValue('bits', y.dtype)}; }
fn bits_of(v: T) -> u32 { return ${valueToBits('v', type, y.dtype)}; }
`,
            scatterAddBody,
          ].join(''),
      };
    },
  );
  const storages = [x.storage];
  if (few) storages.push(index.storage);
  else {
    const cell = {
      name: `cells ${depth} ${index.dtype}`,
      buffer: { name: 'index', access: 'read', dtype: index.dtype } as const,
      function: () =>
        `${cellFunction(index.dtype, depth, KEY_PARAMS)}fn key(n: u32) -> u32 { return cell(n); }\n`,
      params: () => cellParams(sink, dims),
    };
    const sorted = lowerOrder(sink, cell, index.storage, 1, count);
    storages.push(sorted.keys, sorted.places);
  }
  storages.push(y.storage);
  sink.u32(slice);
  cellParams(sink, dims);
  dispatchThreads(sink, shader, storages, count * slice);
}
