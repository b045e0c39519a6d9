// Several arrays into one, an element to an invocation: what gathers gradients for one update of all parameters.
import type { Operand } from '../../ir/kernel.ts';
import {
  accessOf,
  type Buffer,
  dimAt,
  dispatchThreads,
  headOf,
  operandAt,
  shaderFor,
} from './customShader.ts';
import type { DispatchSink, GpuShader } from './lowering.ts';

/** Parameters: 0 elements in all, then for each input where its elements begin among all, and where it goes in y. */
function packShader(count: number): GpuShader {
  return shaderFor(`pack ${count}`, () => {
    const places = Array.from({ length: count }, (_, k) => k);
    const buffers: readonly Buffer[] = [
      ...places.map((k): Buffer => ({ name: `x${k}`, access: 'read' })),
      { name: 'y', access: 'read_write' },
    ];
    // from the last input to the first: the first whose beginning is reached has the element
    const choices = places.toReversed().map((k) => {
      const [begin, to] = [`pu(${1 + 2 * k}u)`, `pu(${2 + 2 * k}u)`];
      return `  if (i >= ${begin}) { y[${to} + i - ${begin}] = x${k}[i - ${begin}]; return; }`;
    });
    return {
      label: 'pack',
      bindings: accessOf(buffers),
      code: () => `${headOf(buffers)}@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = thread_of(group, groups, local);
  if (i >= pu(0u)) { return; }
${choices.join('\n')}
}
`,
    };
  });
}

/** Lowers `pack` to one dispatch. */
export function lowerPack(
  sink: DispatchSink,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
): void {
  let total = 0;
  for (let k = 0; k < inputs.length; k++) total += dimAt(dims, 2 * k + 1);
  sink.u32(total);
  let begin = 0;
  for (let k = 0; k < inputs.length; k++) {
    sink.u32(begin);
    sink.u32(dimAt(dims, 2 * k));
    begin += dimAt(dims, 2 * k + 1);
  }
  dispatchThreads(
    sink,
    packShader(inputs.length),
    [...inputs.map((x) => x.storage), operandAt(outputs, 0).storage],
    total,
  );
}
