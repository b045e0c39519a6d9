// Kernels that look at an array through a moving frame: padding and pooling. Both are gathers.
import padBody from '../../../shaders/pad.wgsl?raw';
import poolBody from '../../../shaders/pool.wgsl?raw';
import poolInsideBody from '../../../shaders/pool_inside.wgsl?raw';
import type { DType } from '../../core/dtype.ts';
import type { Expr } from '../../ir/expr.ts';
import type { Operand } from '../../ir/kernel.ts';
import { elementFunction, epilogueKey, epilogueParams, extraBuffers } from './customEpilogue.ts';
import { dispatchGather, gatherParams, gatherShader } from './customGather.ts';
import type { Buffer } from './customShader.ts';
import { dimAt, operandAt } from './customShader.ts';
import type { DispatchSink } from './lowering.ts';
import { bitsToValue, convertBits, convertValue, movedAs, valueToBits, wgslTypeOf } from './wgslTypes.ts';

const scratch: number[] = [];

/**
 * The axes of a padding as few as they can be: neighbours that are not padded become one. `dims` = [mode, ndim, inShape…, before…, outShape…];
 * the same without mode and ndim comes back, with ndim = length / 3.
 */
export function mergePad(dims: readonly number[], out: number[] = []): number[] {
  const ndim = dimAt(dims, 1);
  const before: number[] = [];
  const to: number[] = [];
  out.length = 0;
  let free = false; // the axis before this one is not padded
  for (let a = 0; a < ndim; a++) {
    const [extent, pad, outer] = [
      dimAt(dims, 2 + a),
      dimAt(dims, 2 + ndim + a),
      dimAt(dims, 2 + 2 * ndim + a),
    ];
    const plain = pad === 0 && outer === extent;
    if (plain && free) {
      out.push((out.pop() ?? 1) * extent);
      to.push((to.pop() ?? 1) * extent);
    } else {
      out.push(extent);
      before.push(pad);
      to.push(outer);
    }
    free = plain;
  }
  out.push(...before, ...to);
  return out;
}

/** `fn source(e)`: where output element e comes from, by `mirror(c, extent)` on each axis. */
function padSource(ndim: number): string {
  const [shape, before, out] = [2, 2 + ndim, 2 + 2 * ndim];
  const lines = ['  var rest = e;', '  var at = 0u;', '  var step = 1u;'];
  for (let a = ndim - 1; a >= 0; a--) {
    lines.push(`  at += step * mirror(i32(rest % pu(${out + a})) - pi(${before + a}), pi(${shape + a}));`);
    if (a > 0) lines.push(`  step *= pu(${shape + a});`, `  rest /= pu(${out + a});`);
  }
  return `fn source(e: u32) -> u32 {\n${lines.join('\n')}\n  return at;\n}\n`;
}

/** Lowers `pad`. */
export function lowerPad(
  sink: DispatchSink,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
): void {
  const [x, y] = [operandAt(inputs, 0), operandAt(outputs, 0)];
  const merged = mergePad(dims, scratch);
  const ndim = merged.length / 3;
  let count = 1;
  for (let a = 2 * ndim; a < 3 * ndim; a++) count *= merged[a] ?? 0;
  if (count === 0) return;
  const [from, to] = x.dtype === y.dtype ? [movedAs(x.dtype), movedAs(x.dtype)] : [x.dtype, y.dtype];
  const reflect = dimAt(dims, 0) === 1;
  const shader = gatherShader(
    sink,
    `pad ${ndim} ${reflect} ${from}`,
    to,
    [{ name: 'x', access: 'read', dtype: from }],
    () =>
      [
        `const REFLECT: bool = ${reflect};\nfn convert(bits: u32) -> u32 { return ${convertBits('bits', from, to)}; }\n`,
        padSource(ndim),
        padBody,
      ].join(''),
  );
  gatherParams(sink, 0, count);
  for (const d of merged) sink.i32(d);
  dispatchGather(sink, shader, [x.storage, y.storage], to, 0, count);
}

/** What pooling does with the elements of a window. */
type PoolMode = 'max' | 'avg' | 'sum';

/**
 * The maximum is taken on integers in the order of the values, because compilers may assume that floats are never NaN and WGSL has no constant −∞:
 * `to_order`, `from_order` and LOWEST, the order of −∞ (of integers: of the least).
 */
function orderFunctions(dtype: DType): string {
  switch (wgslTypeOf(dtype)) {
    case 'f32':
      // below zero the order of bits is reversed; every NaN stands above +∞
      return `const LOWEST: i32 = -2139095041;
fn to_order(v: f32) -> i32 {
  let bits = bitcast<u32>(v);
  let k = bitcast<i32>(bits);
  return select(k ^ ((k >> 31u) & 0x7fffffff), 0x7fc00000, is_nan_bits(bits));
}
fn from_order(k: i32) -> f32 { return bitcast<f32>(k ^ ((k >> 31u) & 0x7fffffff)); }
`;
    case 'i32':
      return `const LOWEST: i32 = ${dtype === 'int8' ? '-128' : 'i32(-2147483648)'};
fn to_order(v: i32) -> i32 { return v; }
fn from_order(k: i32) -> i32 { return k; }
`;
    case 'u32':
      return `const LOWEST: i32 = i32(-2147483648);
fn to_order(v: u32) -> i32 { return bitcast<i32>(v ^ 0x80000000u); }
fn from_order(k: i32) -> u32 { return bitcast<u32>(k) ^ 0x80000000u; }
`;
  }
}

/** A window up to this size is written out element by element where none reaches over the border. */
const WRITTEN_OUT = 16;

/** Whether there is no depth, and every window lies inside the input: then nothing is clipped, and all averages divide by the same number. */
function insideOnly(dims: readonly number[]): boolean {
  for (let axis = 0; axis < 3; axis++) {
    const [i, o, k] = [dimAt(dims, 1 + axis), dimAt(dims, 4 + axis), dimAt(dims, 7 + axis)];
    const [s, p] = [dimAt(dims, 10 + axis), dimAt(dims, 13 + axis)];
    if (p !== 0 || (o - 1) * s + k > i || (axis === 0 && i !== 1)) return false;
  }
  return true;
}

/** `fold_window(at)` for `kh` × `kw` elements from element `at` on, in the order of memory; parameter 4 is the row's length. */
function windowFunction(max: boolean, kh: number, kw: number): string {
  const terms: string[] = [];
  for (let h = 0; h < kh; h++)
    for (let w = 0; w < kw; w++) terms.push(`value(x_bits(at + ${h}u * pu(4) + ${w}u))`);
  const folded = max
    ? `from_order(${terms.map((t) => `to_order(${t})`).reduce((a, b) => `max(${a}, ${b})`)})`
    : terms.join(' + ');
  return `fn fold_window(at: u32) -> T { return ${folded}; }\n`;
}

/** Lowers `poolMax`, `poolAvg`, `poolSum`; `epilogue` is over the result and the inputs after the first. */
export function lowerPool(
  sink: DispatchSink,
  mode: PoolMode,
  epilogue: Expr | null,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
  scalars: readonly number[],
): void {
  const [x, y] = [operandAt(inputs, 0), operandAt(outputs, 0)];
  const count = dimAt(dims, 0) * dimAt(dims, 4) * dimAt(dims, 5) * dimAt(dims, 6);
  if (count === 0) return;
  const [kh, kw] = [dimAt(dims, 8), dimAt(dims, 9)];
  const size = kh * kw;
  const inside = size > 0 && size <= WRITTEN_OUT && insideOnly(dims);
  const window = inside ? ` ${kh}×${kw}` : '';
  const key = `pool ${mode}${window} ${x.dtype}${epilogueKey(epilogue)}`;
  const buffers: readonly Buffer[] = [
    { name: 'x', access: 'read', dtype: x.dtype },
    ...extraBuffers(inputs.length - 1, y.dtype),
  ];
  const shader = gatherShader(sink, key, y.dtype, buffers, () => {
    const type = wgslTypeOf(x.dtype);
    return [
      `alias T = ${type};
const MAX: bool = ${mode === 'max'};
const AVERAGE: bool = ${mode === 'avg'};
fn value(bits: u32) -> T { return ${bitsToValue('bits', x.dtype)}; }
fn bits_of(v: T) -> u32 { return ${valueToBits('v', type, y.dtype)}; }
fn divide(v: T, n: i32) -> T { return v / ${convertValue('n', 'i32', type)}; }
`,
      orderFunctions(x.dtype),
      elementFunction(epilogue, y.dtype),
      inside
        ? `const SIZE: i32 = ${size};\n${windowFunction(mode === 'max', kh, kw)}${poolInsideBody}`
        : poolBody,
    ].join('');
  });
  gatherParams(sink, 0, count);
  for (let i = 1; i < 17; i++) sink.i32(dimAt(dims, i));
  epilogueParams(sink, epilogue, y.dtype, scalars);
  dispatchGather(
    sink,
    shader,
    [...inputs, y].map((o) => o.storage),
    y.dtype,
    0,
    count,
  );
}
