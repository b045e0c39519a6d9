// `stridedCopy` on the GPU: every cast, slice, transposition, broadcast and assignment to a part goes through here.
import copyBody from '../../../shaders/copy.wgsl?raw';
import scatterBody from '../../../shaders/copy_strided.wgsl?raw';
import transposeBody from '../../../shaders/transpose.wgsl?raw';
import type { DType } from '../../core/dtype.ts';
import type { Operand } from '../../ir/kernel.ts';
import type { Storage } from '../../ir/storage.ts';
import type { CopyPlan } from './customCopyPlan.ts';
import { newCopyPlan, planCopy } from './customCopyPlan.ts';
import { dispatchGather, gatherParams, gatherShader } from './customGather.ts';
import type { Buffer } from './customShader.ts';
import {
  accessOf,
  dispatchThreads,
  headOf,
  operandAt,
  putBuffer,
  putFunction,
  shaderFor,
} from './customShader.ts';
import { DTYPE_CODE } from './dtypes.ts';
import type { DispatchSink, GpuShader } from './lowering.ts';
import { convertBits, lanesOf, movedAs } from './wgslTypes.ts';

/** The side of a transposition's tile, and the rows of it that one workgroup moves at a time. */
const TILE = 32;
const TILE_ROWS = 8;

const plan = newCopyPlan();

/**
 * `fn place_NAME(i)`: offset + Σ c·stride for the coordinates c of element i in an ndim-dimensional shape. Parameters from `first`: the shape,
 * then (from `strides`) offset and strides. Arithmetic wraps modulo 2^32, so negative strides need nothing special.
 */
function placeFunction(name: string, ndim: number, first: number, strides: number): string {
  const lines = ['  var rest = i;', `  var at = pu(${strides});`];
  for (let a = ndim - 1; a > 0; a--) {
    lines.push(`  at += (rest % pu(${first + a})) * pu(${strides + 1 + a});`, `  rest /= pu(${first + a});`);
  }
  if (ndim > 0) lines.push(`  at += rest * pu(${strides + 1});`);
  return `fn ${name}(i: u32) -> u32 {\n${lines.join('\n')}\n  return at;\n}\n`;
}

function convertFunction(from: DType, to: DType): string {
  return `fn convert(bits: u32) -> u32 { return ${convertBits('bits', from, to)}; }\n`;
}

function placeParams(sink: DispatchSink, p: CopyPlan, offset: number, strides: readonly number[]): void {
  sink.i32(offset);
  for (let a = 0; a < p.ndim; a++) sink.i32(strides[a] ?? 0);
}

function runShader(sink: DispatchSink, from: DType, to: DType): GpuShader {
  return gatherShader(sink, `copy run ${from}`, to, [{ name: 'x', access: 'read', dtype: from }], () =>
    [convertFunction(from, to), 'fn place(i: u32) -> u32 { return i + pu(2); }\n', copyBody].join(''),
  );
}

/** Elements of `x` from `inBegin` on become elements of `y` from `outBegin` on, converted. */
export function copyRun(
  sink: DispatchSink,
  x: Storage,
  from: DType,
  inBegin: number,
  y: Storage,
  to: DType,
  outBegin: number,
  count: number,
): void {
  const lanes = lanesOf(from);
  if (from === to && lanes > 1 && inBegin % lanes === 0 && outBegin % lanes === 0 && count % lanes === 0) {
    // whole words, moved as they are
    copyRun(sink, x, 'uint32', inBegin / lanes, y, 'uint32', outBegin / lanes, count / lanes);
    return;
  }
  gatherParams(sink, outBegin, count);
  sink.u32(inBegin);
  dispatchGather(sink, runShader(sink, from, to), [x, y], to, outBegin, count);
}

/** Shaders of gathers by what tells them apart, as a number: a text would cost as much as all else of a small call. */
const gathers = new Map<number, GpuShader>();

function gatherCopyShader(sink: DispatchSink, from: DType, to: DType, ndim: number): GpuShader {
  const key = ((DTYPE_CODE[from] * 8 + DTYPE_CODE[to]) * 16 + ndim) * 2 + (sink.traits.software ? 1 : 0);
  let shader = gathers.get(key);
  if (shader === undefined) {
    shader = gatherShader(
      sink,
      `copy ${ndim} ${from}`,
      to,
      [{ name: 'x', access: 'read', dtype: from }],
      () => [convertFunction(from, to), placeFunction('place', ndim, 2, 2 + ndim), copyBody].join(''),
    );
    gathers.set(key, shader);
  }
  return shader;
}

function scatterCopyShader(from: DType, to: DType, ndim: number): GpuShader {
  return shaderFor(`copy strided ${ndim} ${from}>${to}`, () => {
    const buffers: readonly Buffer[] = [{ name: 'x', access: 'read', dtype: from }, putBuffer(to)];
    return {
      label: 'stridedCopy',
      bindings: accessOf(buffers),
      code: () =>
        [
          headOf(buffers),
          putFunction(to),
          convertFunction(from, to),
          placeFunction('place_x', ndim, 1, 1 + ndim),
          placeFunction('place_y', ndim, 1, 2 + 2 * ndim),
          scatterBody,
        ].join(''),
    };
  });
}

function transposeShader(from: DType, to: DType): GpuShader {
  return shaderFor(`transpose ${from}>${to}`, () => {
    const buffers: readonly Buffer[] = [
      { name: 'x', access: 'read', dtype: from },
      { name: 'y', access: 'read_write' },
    ];
    return {
      label: 'stridedCopy (transpose)',
      bindings: accessOf(buffers),
      code: () =>
        [
          headOf(buffers),
          convertFunction(from, to),
          `const TILE: u32 = ${TILE}u;\nconst TILE_ROWS: u32 = ${TILE_ROWS}u;\n`,
          transposeBody,
        ].join(''),
    };
  });
}

/** The tiled transposition: rows are the axis along which the input runs, columns the output's last axis, a third axis is the batch. */
function dispatchTranspose(
  sink: DispatchSink,
  p: CopyPlan,
  from: DType,
  to: DType,
  storages: readonly Storage[],
): boolean {
  const row = p.along;
  const column = p.ndim - 1;
  const batch = p.ndim === 3 ? 1 - row : -1;
  const rows = p.shape[row] ?? 0;
  const columns = p.shape[column] ?? 0;
  const batches = batch < 0 ? 1 : (p.shape[batch] ?? 0);
  const most = sink.traits.maxWorkgroups;
  const [across, down] = [Math.ceil(columns / TILE), Math.ceil(rows / TILE)];
  if (sink.traits.software || lanesOf(from) > 1 || lanesOf(to) > 1) return false;
  // thin matrices would leave most of a tile idle
  if (rows < 8 || columns < 8 || across > most || down > most || batches > most) return false;
  sink.u32(rows);
  sink.u32(columns);
  sink.i32(p.inOffset);
  sink.i32(p.inStrides[column] ?? 0);
  sink.i32(batch < 0 ? 0 : (p.inStrides[batch] ?? 0));
  sink.u32(p.outOffset);
  sink.u32(p.outStrides[row] ?? 0);
  sink.u32(batch < 0 ? 0 : (p.outStrides[batch] ?? 0));
  sink.dispatch(transposeShader(from, to), storages, across, down, batches);
  return true;
}

/** Lowers `stridedCopy`. */
export function lowerCopy(
  sink: DispatchSink,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
): void {
  const x = operandAt(inputs, 0);
  const y = operandAt(outputs, 0);
  const p = planCopy(dims, plan);
  const storages = [x.storage, y.storage];
  const same = x.dtype === y.dtype;
  const from = same ? movedAs(x.dtype) : x.dtype;
  const to = same ? from : y.dtype;
  switch (p.form) {
    case 'empty':
      return;
    case 'contiguous':
      copyRun(sink, x.storage, from, p.inOffset, y.storage, to, p.outOffset, p.count);
      return;
    case 'transpose':
    case 'gather':
      if (p.form === 'transpose' && dispatchTranspose(sink, p, from, to, storages)) return;
      gatherParams(sink, p.outOffset, p.count);
      for (let a = 0; a < p.ndim; a++) sink.u32(p.shape[a] ?? 0);
      placeParams(sink, p, p.inOffset, p.inStrides);
      dispatchGather(sink, gatherCopyShader(sink, from, to, p.ndim), storages, to, p.outOffset, p.count);
      return;
    case 'scatter':
      sink.u32(p.count);
      for (let a = 0; a < p.ndim; a++) sink.u32(p.shape[a] ?? 0);
      placeParams(sink, p, p.inOffset, p.inStrides);
      placeParams(sink, p, p.outOffset, p.outStrides);
      dispatchThreads(sink, scatterCopyShader(from, to, p.ndim), storages, p.count);
  }
}
