// Row kernels: from a call to dispatches. One dispatch where there are rows enough; otherwise rows are cut into chunks and each stage takes two
// dispatches (fold the chunks, fold their results), the last of which stores, or a third one stores every element.

import type { DType } from '../../core/dtype.ts';
import { bytesOf } from '../../core/dtype.ts';
import { DTypeError } from '../../core/errors.ts';
import { e } from '../../ir/expr.ts';
import type { Operand, RowKernel, Stage } from '../../ir/kernel.ts';
import { computeTypeFor, elementwiseKernel } from '../../ir/kernel.ts';
import type { Storage } from '../../ir/storage.ts';
import { DTYPE_CODE } from './dtypes.ts';
import { lowerElementwise } from './elementwise.ts';
import type { Access, DispatchSink, GpuShader } from './lowering.ts';
import { planRows } from './rowPlan.ts';
import type { AgentLayout, RowLayout } from './rowWgsl.ts';
import { combineWgsl, finishWgsl, inputsIn, isArg, partialWgsl, wholeWgsl } from './rowWgsl.ts';
import type { WgslType } from './wgslExpr.ts';
import { scalarsIn, wgslStoreBits } from './wgslExpr.ts';

/** Storage bindings that every adapter has. */
const MAX_BINDINGS = 8;
/** Inputs that fit them beside the output. */
const MAX_INPUTS = MAX_BINDINGS - 1;

interface Variant {
  readonly whole: GpuShader;
  /** By stage. */
  readonly partial: readonly GpuShader[];
  readonly combine: readonly GpuShader[];
  readonly finish: GpuShader;
}

interface Entry {
  readonly scalars: number;
  /** Inputs that a store per row reads. */
  readonly stored: readonly number[];
  readonly variants: Map<number, Variant>;
}

const entries = new WeakMap<RowKernel, Entry>();
const bound: Storage[] = [];
const toOutput = elementwiseKernel('cast', 1, e.input(0));
const ONE_LANE: Record<WgslType, DType> = { f32: 'float32', i32: 'int32', u32: 'uint32' };

/** Lowers a row kernel. */
export function lowerRow(
  sink: DispatchSink,
  kernel: RowKernel,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
  scalars: readonly number[],
): void {
  const output = outputs[0] as Operand;
  const outer = dims[0] as number;
  const length = dims[1] as number;
  const inner = dims[2] as number;
  const rows = outer * inner;
  if (rows === 0 || (kernel.perElement && length === 0)) return;
  const type = computeTypeFor(kernel.computeFrom, inputs, outputs);
  if (type === 'f64')
    throw new DTypeError('expected a dtype that a GPU holds, received float64. Use float32, or the CPU.', {
      op: kernel.name,
    });
  if (bytesOf(output.dtype) < 4) {
    // Several rows share a word of a narrow output, so the results are made wide first.
    const wide: Operand = {
      storage: sink.temporary((kernel.perElement ? rows * length : rows) * 4),
      dtype: ONE_LANE[type],
      shape: output.shape,
    };
    lowerRow(sink, kernel, inputs, [wide], dims, scalars);
    lowerElementwise(sink, toOutput, [wide], outputs, [], []);
    return;
  }

  let entry = entries.get(kernel);
  if (entry === undefined) {
    if (kernel.inputs > MAX_INPUTS)
      throw new DTypeError(
        `expected at most ${MAX_INPUTS} arrays in one row kernel, received ${kernel.inputs}. Split it.`,
        { op: kernel.name },
      );
    entry = {
      scalars: Math.max(scalarsIn(kernel.store), ...kernel.stages.map((stage) => scalarsIn(stage.load))),
      stored: kernel.perElement ? [] : [...inputsIn(kernel.store)],
      variants: new Map(),
    };
    entries.set(kernel, entry);
  }
  const { traits } = sink;
  const planned = planRows(traits, rows, length, inner);
  // in chunks, dispatches bind results and output, or partials, results and output, beside inputs
  const fits = inputs.length + 2 <= MAX_BINDINGS && entry.stored.length + 3 <= MAX_BINDINGS;
  const plan = fits ? planned : { ...planned, chunks: 1 };
  let key = DTYPE_CODE[output.dtype];
  for (let k = 0; k < inputs.length; k++) key = key * 8 + DTYPE_CODE[(inputs[k] as Operand).dtype];
  key = (key * 16 + Math.log2(plan.workgroup)) * 2 + (plan.agent === 'workgroup' ? 1 : 0);
  let variant = entry.variants.get(key);
  if (variant === undefined) {
    variant = makeVariant(kernel, type, inputs, output.dtype, plan, key);
    entry.variants.set(key, variant);
  }

  const perGroup = plan.agent === 'workgroup' ? 1 : plan.workgroup;
  const send = (
    shader: GpuShader,
    agents: number,
    agentsPerGroup: number,
    chunkLength: number,
    chunks: number,
  ): void => {
    const groups = Math.ceil(agents / agentsPerGroup);
    const x = Math.min(groups, traits.maxWorkgroups);
    sink.u32(rows);
    sink.u32(x * agentsPerGroup);
    sink.u32(length);
    sink.u32(inner);
    sink.u32(chunkLength);
    sink.u32(chunks);
    for (let k = 0; k < 3 * inputs.length; k++) sink.u32(dims[3 + k] ?? 0);
    for (let k = 0; k < entry.scalars; k++) {
      const value = scalars[k] ?? 0;
      if (type === 'f32') sink.f32(value);
      else if (type === 'i32') sink.i32(value);
      else sink.u32(value);
    }
    sink.dispatch(shader, bound, x, Math.ceil(groups / x), 1);
  };

  let at = 0;
  for (let k = 0; k < inputs.length; k++) bound[at++] = (inputs[k] as Operand).storage;
  const inputsBound = at;
  if (plan.chunks === 1) {
    bound[at] = output.storage;
    send(variant.whole, rows, perGroup, length, 1);
    return;
  }

  const { stages } = kernel;
  const chunkLength = Math.ceil(length / plan.chunks);
  const chunks = Math.ceil(length / chunkLength);
  const results =
    stages.length > 1 || kernel.perElement ? sink.temporary(rows * stages.length * 4) : undefined;
  for (let k = 0; k < stages.length; k++) {
    const partials = sink.temporary(rows * chunks * (isArg((stages[k] as Stage).combine) ? 8 : 4));
    for (let j = 0; j < inputs.length; j++) bound[j] = (inputs[j] as Operand).storage;
    at = inputsBound;
    if (k > 0 && results !== undefined) bound[at++] = results;
    bound[at] = partials;
    send(variant.partial[k] as GpuShader, rows * chunks, perGroup, chunkLength, chunks);
    at = 0;
    const stores = k === stages.length - 1 && !kernel.perElement;
    if (stores) for (const input of entry.stored) bound[at++] = (inputs[input] as Operand).storage;
    bound[at++] = partials;
    if (results !== undefined && (!stores || k > 0)) bound[at++] = results;
    if (stores) bound[at] = output.storage;
    send(variant.combine[k] as GpuShader, rows, perGroup, chunkLength, chunks);
  }
  if (kernel.perElement) {
    for (let j = 0; j < inputs.length; j++) bound[j] = (inputs[j] as Operand).storage;
    at = inputsBound;
    if (results !== undefined) bound[at++] = results;
    bound[at] = output.storage;
    send(variant.finish, rows * length, FINISH.workgroup, chunkLength, chunks);
  }
}

const FINISH: AgentLayout = { agent: 'invocation', workgroup: 64 };

function makeVariant(
  kernel: RowKernel,
  type: WgslType,
  inputs: readonly Operand[],
  outDType: DType,
  plan: AgentLayout,
  key: number,
): Variant {
  const layout: RowLayout = {
    stages: kernel.stages,
    store: kernel.store,
    perElement: kernel.perElement,
    type,
    dtypes: inputs.map((input) => input.dtype),
    storeBits: (text) => wgslStoreBits(text, type, outDType),
  };
  const combining: AgentLayout = plan.agent === 'workgroup' ? { agent: 'workgroup', workgroup: 64 } : plan;
  const inputReads: Access[] = inputs.map(() => 'read');
  const make = (name: string, bindings: readonly Access[], code: () => string): GpuShader => ({
    key: `${kernel.key}|${key}|${name}`,
    label: kernel.name,
    bindings,
    code,
    sized: true,
  });
  const last = kernel.stages.length - 1;
  const stored: Access[] = kernel.perElement ? [] : [...inputsIn(kernel.store)].map(() => 'read');
  const combineBindings = (k: number): readonly Access[] => {
    if (k < last || kernel.perElement) return ['read', 'read_write'];
    return k > 0 ? [...stored, 'read', 'read', 'read_write'] : [...stored, 'read', 'read_write'];
  };
  return {
    whole: make('whole', [...inputReads, 'read_write'], () => wholeWgsl(layout, plan)),
    partial: kernel.stages.map((_, k) =>
      make(`partial${k}`, k > 0 ? [...inputReads, 'read', 'read_write'] : [...inputReads, 'read_write'], () =>
        partialWgsl(layout, plan, k),
      ),
    ),
    combine: kernel.stages.map((_, k) =>
      make(`combine${k}`, combineBindings(k), () => combineWgsl(layout, combining, k)),
    ),
    finish: make('finish', [...inputReads, 'read', 'read_write'], () => finishWgsl(layout, FINISH)),
  };
}
