// The custom kernels that say for each output element where it comes from: an invocation makes one word of the output, that is 1, 2 or 4
// elements, so packed dtypes need no atomics. Each kernel fills one hole, `element(i)`, and reads its own parameters from number 2 on.
import gatherBody from '../../../shaders/gather.wgsl?raw';
import packedBody from '../../../shaders/gather_packed.wgsl?raw';
import type { DType } from '../../core/dtype.ts';
import type { Storage } from '../../ir/storage.ts';
import type { Buffer } from './customShader.ts';
import { accessOf, dispatchThreads, headOf, shaderFor, WORKGROUP } from './customShader.ts';
import type { DispatchSink, GpuShader } from './lowering.ts';
import { laneConstants, lanesOf } from './wgslTypes.ts';

/** Words that an invocation makes: on software adapters its launch costs more than most elements (about 9 ns against 2 on SwiftShader). */
function stepsOf(sink: DispatchSink, to: DType): number {
  return sink.traits.software && lanesOf(to) === 1 ? 8 : 1;
}

/**
 * A shader for a gather. `key` names all that `inputs` and `element` depend on; `element()` gives `fn element(i: u32) -> u32`, the bits of
 * output element i in dtype `to`, and what it calls; `x_bits(i)` and the like read the inputs.
 */
export function gatherShader(
  sink: DispatchSink,
  key: string,
  to: DType,
  inputs: readonly Buffer[],
  element: () => string,
): GpuShader {
  const steps = stepsOf(sink, to);
  return shaderFor(`${key}>${to} ${steps}`, () => {
    const buffers: readonly Buffer[] = [...inputs, { name: 'y', access: 'read_write' }];
    const body =
      lanesOf(to) === 1 ? `const STEPS: u32 = ${steps}u;\n${gatherBody}` : laneConstants(to) + packedBody;
    return { label: key, bindings: accessOf(buffers), code: () => headOf(buffers) + element() + body };
  });
}

/** The two parameters every gather begins with: the first output element and the one past the last. */
export function gatherParams(sink: DispatchSink, begin: number, count: number): void {
  sink.u32(begin);
  sink.u32(begin + count);
}

/** Dispatches a gather over the words that hold output elements begin … begin + count − 1. */
export function dispatchGather(
  sink: DispatchSink,
  shader: GpuShader,
  storages: readonly Storage[],
  to: DType,
  begin: number,
  count: number,
): void {
  const lanes = lanesOf(to);
  const words = Math.floor((begin + count - 1) / lanes) - Math.floor(begin / lanes) + 1;
  // whole workgroups of steps: an invocation's elements lie a workgroup apart
  const span = WORKGROUP * stepsOf(sink, to);
  dispatchThreads(sink, shader, storages, Math.ceil(words / span) * WORKGROUP);
}
