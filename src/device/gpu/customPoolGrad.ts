// Gradients of pooling. Each is a gather: an element of the result finds the windows it belongs to, so nothing is written twice and sums repeat.
import gradBody from '../../../shaders/pool_grad.wgsl?raw';
import pickBody from '../../../shaders/pool_pick.wgsl?raw';
import spreadBody from '../../../shaders/pool_spread.wgsl?raw';
import type { DType } from '../../core/dtype.ts';
import type { Operand } from '../../ir/kernel.ts';
import { dispatchGather, gatherParams, gatherShader } from './customGather.ts';
import { dimAt, operandAt } from './customShader.ts';
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

/** Lowers `poolMaxGrad`, `poolMaxPick`, `poolAvgGrad`, `poolSumGrad` over float dtypes; all operands have one. */
export function lowerPoolGrad(
  sink: DispatchSink,
  mode: 'maxGrad' | 'maxPick' | 'avgGrad' | 'sumGrad',
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
): void {
  const y = operandAt(outputs, 0);
  const { dtype } = y;
  const pick = mode === 'maxPick';
  const first = pick ? 4 : 1;
  const count = dimAt(dims, 0) * dimAt(dims, first) * dimAt(dims, first + 1) * dimAt(dims, first + 2);
  if (count === 0) return;
  const max = pick || mode === 'maxGrad';
  const shader = gatherShader(
    sink,
    `pool ${mode} ${dtype}`,
    dtype,
    (max ? ['x', 'g'] : ['g']).map((name) => ({ name, access: 'read', dtype })),
    () =>
      values(dtype) +
      (max
        ? ORDER + (pick ? pickBody : gradBody)
        : `const AVERAGE: bool = ${mode === 'avgGrad'};\n${spreadBody}`),
  );
  gatherParams(sink, 0, count);
  for (let i = 1; i < 17; i++) sink.i32(dimAt(dims, i));
  dispatchGather(
    sink,
    shader,
    [...inputs, y].map((o) => o.storage),
    dtype,
    0,
    count,
  );
}
