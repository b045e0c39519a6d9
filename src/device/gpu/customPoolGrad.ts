// Gradients of pooling. Each is a gather: an element of the result finds the windows it belongs to, so nothing is written twice and sums repeat.
import gradBody from '../../../shaders/pool_grad.wgsl?raw';
import pickBody from '../../../shaders/pool_pick.wgsl?raw';
import spreadBody from '../../../shaders/pool_spread.wgsl?raw';
import tilesBody from '../../../shaders/pool_tiles.wgsl?raw';
import type { DType } from '../../core/dtype.ts';
import type { Expr } from '../../ir/expr.ts';
import type { Operand } from '../../ir/kernel.ts';
import type { Storage } from '../../ir/storage.ts';
import {
  elementFunction,
  epilogueKey,
  epilogueParams,
  extraBuffers,
  finishedFunction,
} from './customEpilogue.ts';
import { dispatchGather, gatherParams, gatherShader } from './customGather.ts';
import type { Buffer } from './customShader.ts';
import { accessOf, dimAt, dispatchThreads, headOf, operandAt, shaderFor } from './customShader.ts';
import type { DispatchSink } from './lowering.ts';
import { bitsToValue, valueToBits } from './wgslTypes.ts';

/** The order of floats on integers: below zero the order of bits is reversed, −0 counts as 0, every NaN stands above +∞. */
const ORDER = `fn to_order(v: f32) -> i32 {
  let raw = bitcast<u32>(v);
  let bits = select(raw, 0u, raw == 0x80000000u);
  let k = bitcast<i32>(bits);
  return select(k ^ ((k >> 31u) & 0x7fffffff), 0x7fc00000, is_nan_bits(bits));
}
`;

function values(dtype: DType): string {
  return `fn value(bits: u32) -> f32 { return ${bitsToValue('bits', dtype)}; }
fn bits_of(v: f32) -> u32 { return ${valueToBits('v', 'f32', dtype)}; }
`;
}

/** A window up to this size is written out element by element. */
const WRITTEN_OUT = 16;

/** Whether windows of two axes lie side by side, all inside the input. */
function sideBySide(dims: readonly number[]): boolean {
  const at = (i: number): number => dimAt(dims, i);
  const flat = at(1) === 1 && at(4) === 1 && at(7) === 1 && at(13) === 0;
  const each = (axis: number): boolean =>
    at(7 + axis) === at(10 + axis) && at(13 + axis) === 0 && at(4 + axis) * at(7 + axis) <= at(1 + axis);
  return flat && each(1) && each(2) && at(8) * at(9) <= WRITTEN_OUT;
}

/** `fn pick(at, row)` for windows of `kh` × `kw` elements of x. */
function pickFunction(kh: number, kw: number): string {
  const order = (h: number, w: number): string => `to_order(value(x_bits(at + ${h}u * row + ${w}u)))`;
  const lines = [`var best = ${order(0, 0)};`, 'var place = 0u;'];
  for (let i = 1; i < kh * kw; i++)
    lines.push(
      `let v${i} = ${order(Math.floor(i / kw), i % kw)};`,
      `place = select(place, ${i}u, v${i} > best);`,
      `best = max(best, v${i});`,
    );
  return `fn pick(at: u32, row: u32) -> u32 {\n${lines.map((line) => `  ${line}\n`).join('')}  return place;\n}\n`;
}

/** The gradient of a maximum over windows that lie side by side: an invocation to a window. */
function lowerTiles(
  sink: DispatchSink,
  epilogue: Expr | null,
  buffers: readonly Buffer[],
  storages: readonly Storage[],
  dims: readonly number[],
  scalars: readonly number[],
): void {
  const [kh, kw] = [dimAt(dims, 8), dimAt(dims, 9)];
  const windows = dimAt(dims, 0) * Math.ceil(dimAt(dims, 2) / kh) * Math.ceil(dimAt(dims, 3) / kw);
  const all: readonly Buffer[] = [...buffers, { name: 'y', access: 'read_write' }];
  const shader = shaderFor(`pool tiles ${kh}×${kw}${epilogueKey(epilogue)}`, () => ({
    label: 'pool maxGrad',
    bindings: accessOf(all),
    code: () =>
      [
        headOf(all),
        values('float32'),
        ORDER,
        `const KH: u32 = ${kh}u;\nconst KW: u32 = ${kw}u;\n`,
        pickFunction(kh, kw),
        finishedFunction(epilogue, 'float32'),
        tilesBody,
      ].join(''),
  }));
  gatherParams(sink, 0, windows);
  for (let i = 1; i < 17; i++) sink.i32(dimAt(dims, i));
  epilogueParams(sink, epilogue, 'float32', scalars);
  dispatchThreads(sink, shader, storages, windows);
}

/** Lowers `poolMaxGrad`, `poolMaxPick`, `poolAvgGrad`, `poolSumGrad` over float dtypes; all operands have one, those of the epilogue too. */
export function lowerPoolGrad(
  sink: DispatchSink,
  mode: 'maxGrad' | 'maxPick' | 'avgGrad' | 'sumGrad',
  epilogue: Expr | null,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
  scalars: readonly number[],
): void {
  const y = operandAt(outputs, 0);
  const { dtype } = y;
  const pick = mode === 'maxPick';
  const first = pick ? 4 : 1;
  const count = dimAt(dims, 0) * dimAt(dims, first) * dimAt(dims, first + 1) * dimAt(dims, first + 2);
  if (count === 0) return;
  const max = pick || mode === 'maxGrad';
  const own = max ? ['x', 'g'] : ['g'];
  const buffers: readonly Buffer[] = [
    ...own.map((name): Buffer => ({ name, access: 'read', dtype })),
    ...extraBuffers(inputs.length - own.length, dtype),
  ];
  const storages = [...inputs, y].map((o) => o.storage);
  if (mode === 'maxGrad' && dtype === 'float32' && sideBySide(dims)) {
    lowerTiles(sink, epilogue, buffers, storages, dims, scalars);
    return;
  }
  const shader = gatherShader(
    sink,
    `pool ${mode} ${dtype}${epilogueKey(epilogue)}`,
    dtype,
    buffers,
    () =>
      values(dtype) +
      elementFunction(epilogue, dtype) +
      (max
        ? ORDER + (pick ? pickBody : gradBody)
        : `const AVERAGE: bool = ${mode === 'avgGrad'};\n${spreadBody}`),
  );
  gatherParams(sink, 0, count);
  for (let i = 1; i < 17; i++) sink.i32(dimAt(dims, i));
  epilogueParams(sink, epilogue, dtype, scalars);
  dispatchGather(sink, shader, storages, dtype, 0, count);
}
