// Update kernels: several elementwise steps in place over arrays of one shape, an element to an invocation; each value is loaded once, changed by the steps
// in their order and stored once.
import { DTypeError } from '../../core/errors.ts';
import { sizeOf } from '../../core/shape.ts';
import type { Operand, UpdateKernel } from '../../ir/kernel.ts';
import { uniformAs, uniformBlock } from './dtypes.ts';
import type { DispatchSink, GpuShader } from './lowering.ts';
import { mathFor } from './mathLibrary.ts';
import { emitExpr, scalarsIn } from './wgslExpr.ts';

const WORKGROUP = 64;

interface Entry {
  readonly shader: GpuShader;
  readonly scalars: number;
}

const entries = new WeakMap<UpdateKernel, Entry>();

function updateWgsl(kernel: UpdateKernel): string {
  const count = kernel.targets + kernel.inputs;
  const places = Array.from({ length: count }, (_, i) => i);
  const declarations = places
    .map(
      (i) =>
        `@group(0) @binding(${i}) var<storage, ${i < kernel.targets ? 'read_write' : 'read'}> a${i}: array<f32>;\n`,
    )
    .join('');
  const lines = [
    `let i = gid.x + gid.y * ${uniformAs(1, 'u32')};`,
    `if (i >= ${uniformAs(0, 'u32')}) { return; }`,
    ...places.map((i) => `${i < kernel.targets ? 'var' : 'let'} v${i} = a${i}[i];`),
  ];
  kernel.steps.forEach(({ target, kernel: step }, n) => {
    const value = emitExpr(
      step.expr,
      { type: 'f32', input: (k) => `v${k}`, scalar: (k) => uniformAs(2 + k, 'f32'), index: 'i' },
      lines,
      `s${n}_`,
    );
    lines.push(`v${target} = ${value};`);
  });
  for (let i = 0; i < kernel.targets; i++) lines.push(`a${i}[i] = v${i};`);
  const main = `@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  ${lines.join('\n  ')}
}
`;
  return `${declarations}${uniformBlock(count)}${mathFor(main)}${main}`;
}

function entryOf(kernel: UpdateKernel): Entry {
  let entry = entries.get(kernel);
  if (entry === undefined) {
    const bindings = Array.from({ length: kernel.targets + kernel.inputs }, (_, i) =>
      i < kernel.targets ? ('read_write' as const) : ('read' as const),
    );
    entry = {
      shader: { key: kernel.key, label: kernel.name, bindings, code: () => updateWgsl(kernel) },
      scalars: Math.max(0, ...kernel.steps.map((s) => scalarsIn(s.kernel.expr))),
    };
    entries.set(kernel, entry);
  }
  return entry;
}

/**
 * Lowers an update to one dispatch. `dims`: none, or [count, total, …] for the same update of `count` parameters, whose operands follow one another for each
 * target and each input; those of one list are parts of one buffer, which is bound from the first on, `total` elements of it.
 */
export function lowerUpdate(
  sink: DispatchSink,
  kernel: UpdateKernel,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
  scalars: readonly number[],
): void {
  const all = [...outputs, ...inputs];
  for (const { dtype } of all)
    if (dtype !== 'float32')
      throw new DTypeError(`expected float32 on a GPU, received ${dtype}. Keep master weights in float32.`, {
        op: kernel.name,
      });
  const [count = 1, total] = dims;
  const size = total ?? sizeOf((outputs[0] as Operand).shape);
  const entry = entryOf(kernel);
  const groups = Math.ceil(size / WORKGROUP);
  const x = Math.min(groups, sink.traits.maxWorkgroups);
  sink.u32(size);
  sink.u32(x * WORKGROUP);
  for (let i = 0; i < entry.scalars; i++) sink.f32(scalars[i] ?? 0);
  sink.dispatch(
    entry.shader,
    total === undefined
      ? all.map((o) => o.storage)
      : all.filter((_, i) => i % count === 0).map((o) => sink.span(o.storage, 4 * total)),
    x,
    x === 0 ? 0 : Math.ceil(groups / x),
    1,
  );
}
