// Elementwise kernels: from an expression and how its inputs lie to a shader, and from a call to one dispatch.
// An invocation makes four neighbouring elements: 16 bytes of a wide dtype, one whole word of a narrow one, so nobody else writes its words.
// Buffers are padded to 16 bytes, so the last four may reach past the end.
import type { DType } from '../../core/dtype.ts';
import { bytesOf } from '../../core/dtype.ts';
import { DTypeError } from '../../core/errors.ts';
import { sizeOf } from '../../core/shape.ts';
import { e } from '../../ir/expr.ts';
import type { ElementwiseKernel, Operand } from '../../ir/kernel.ts';
import { computeTypeFor, elementwiseKernel } from '../../ir/kernel.ts';
import type { Storage } from '../../ir/storage.ts';
import {
  DTYPE_CODE,
  elementBits,
  laneBits,
  packQuad,
  quadType,
  uniformAs,
  uniformBlock,
  uniformWord,
} from './dtypes.ts';
import {
  ANY,
  extents,
  FLAT,
  INPLACE,
  isBroadcast,
  MAX_INPUTS,
  MAX_NDIM,
  modes,
  ONE,
  offsets,
  placeInputs,
  placeStrided,
  ROW,
  SPLAT,
  strides,
} from './elementwisePlaces.ts';
import type { Access, DispatchSink, GpuShader } from './lowering.ts';
import { mathFor } from './mathLibrary.ts';
import type { WgslType } from './wgslExpr.ts';
import { emitExprs, scalarsIn, wgslLoadBits, wgslStoreBits } from './wgslExpr.ts';

/** Invocations per workgroup. */
const WORKGROUP = 64;
/** Words of the uniform block. */
const MAX_WORDS = 64;

/** How many ways an input may lie (see elementwisePlaces.ts), with as many outputs as bindings allow. */
const MODES = 13;
/** `DTYPE_CODE`s that a GPU has. */
const DTYPES = 7;

interface Entry {
  readonly scalars: number;
  readonly variants: Map<number, GpuShader>;
}

const entries = new WeakMap<ElementwiseKernel, Entry>();

const bound: Storage[] = [];

/** Lowers an elementwise kernel to one dispatch. */
export function lowerElementwise(
  sink: DispatchSink,
  kernel: ElementwiseKernel,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
  scalars: readonly number[],
): void {
  const output = outputs[0] as Operand;
  const size = sizeOf(output.shape);
  if (size === 0) return;
  let entry = entries.get(kernel);
  if (entry === undefined) {
    if (kernel.inputs > MAX_INPUTS)
      throw new DTypeError(
        `expected at most ${MAX_INPUTS} arrays in one elementwise kernel, received ${kernel.inputs}. Split it.`,
        { op: kernel.name },
      );
    entry = { scalars: Math.max(...[kernel.expr, ...kernel.others].map(scalarsIn)), variants: new Map() };
    entries.set(kernel, entry);
  }

  // How each input lies, as digits of one number.
  const count = inputs.length;
  const strided = dims.length > 0;
  const axes = strided ? placeStrided(count, dims) : placeInputs(inputs, outputs, size);
  let key = (DTYPE_CODE[output.dtype] * (MAX_NDIM + 2) + axes + 1) * 2 + (strided ? 1 : 0);
  for (let k = 0; k < count; k++)
    key = (key * DTYPES + DTYPE_CODE[(inputs[k] as Operand).dtype]) * MODES + (modes[k] as number);
  let words = 2 + entry.scalars;
  if (axes >= 0) {
    words += axes;
    for (let k = 0; k < count; k++) if (isBroadcast(modes[k] as number)) words += axes + (strided ? 1 : 0);
    if (words > MAX_WORDS) {
      lowerExpanded(sink, kernel, inputs, outputs, dims, scalars);
      return;
    }
  }

  const type = computeTypeFor(kernel.computeFrom, inputs, outputs);
  if (type === 'f64')
    throw new DTypeError('expected a dtype that a GPU holds, received float64. Use float32, or the CPU.', {
      op: kernel.name,
    });
  let shader = entry.variants.get(key);
  if (shader === undefined) {
    shader = makeVariant(kernel, type, inputs, output.dtype, axes, strided, entry.scalars, key);
    entry.variants.set(key, shader);
  }

  const quads = Math.ceil(size / 4);
  const groups = Math.ceil(quads / WORKGROUP);
  const { maxWorkgroups } = sink.traits;
  const x = groups <= maxWorkgroups ? groups : maxWorkgroups;
  sink.u32(quads);
  sink.u32(x * WORKGROUP);
  for (let i = 0; i < entry.scalars; i++) {
    const value = scalars[i] ?? 0;
    if (type === 'f32') sink.f32(value);
    else if (type === 'i32') sink.i32(value);
    else sink.u32(value);
  }
  for (let d = 0; d < axes; d++) sink.u32(extents[d] as number);
  if (axes >= 0)
    for (let k = 0; k < count; k++) {
      if (!isBroadcast(modes[k] as number)) continue;
      if (strided) sink.i32(offsets[k] as number);
      for (let d = 0; d < axes; d++) sink.i32(strides[k * MAX_NDIM + d] as number);
    }
  let at = 0;
  for (let k = 0; k < count; k++)
    if ((modes[k] as number) < INPLACE) bound[at++] = (inputs[k] as Operand).storage;
  for (let j = 0; j < outputs.length; j++) bound[at++] = (outputs[j] as Operand).storage;
  sink.dispatch(shader, bound, x, Math.ceil(groups / x), 1);
}

const identity = elementwiseKernel('broadcast', 1, e.input(0));

/** For shapes whose strides do not fit the uniform block: inputs that do not lie as the output does are written out first. */
function lowerExpanded(
  sink: DispatchSink,
  kernel: ElementwiseKernel,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
  scalars: readonly number[],
): void {
  const { shape } = outputs[0] as Operand;
  const size = sizeOf(shape);
  const strided = dims.length > 0;
  const axes = dims[0] ?? 0;
  const whole = inputs.map((input, k): Operand => {
    if (!strided && (sizeOf(input.shape) === size || sizeOf(input.shape) === 1)) return input;
    const copy: Operand = {
      storage: sink.temporary(size * bytesOf(input.dtype)),
      dtype: input.dtype,
      shape,
    };
    const from = 1 + axes + k * (axes + 1);
    const own = strided ? [...dims.slice(0, 1 + axes), ...dims.slice(from, from + axes + 1)] : [];
    lowerElementwise(sink, identity, [input], [copy], own, []);
    return copy;
  });
  lowerElementwise(sink, kernel, whole, outputs, [], scalars);
}

function makeVariant(
  kernel: ElementwiseKernel,
  type: WgslType,
  inputs: readonly Operand[],
  outDType: DType,
  axes: number,
  strided: boolean,
  scalars: number,
  key: number,
): GpuShader {
  const layout: Layout = {
    type,
    modes: Array.from(modes.subarray(0, inputs.length)),
    dtypes: inputs.map((input) => input.dtype),
    outDType,
    axes,
    strided,
    scalars,
  };
  const bindings: Access[] = layout.modes.filter((mode) => mode < INPLACE).map(() => 'read');
  for (let j = 0; j <= kernel.others.length; j++) bindings.push('read_write');
  return {
    key: `${kernel.key}|${key}`,
    label: kernel.name,
    bindings,
    code: () => elementwiseWgsl(kernel, layout),
    sized: axes > 1 || strided,
  };
}

interface Layout {
  readonly type: WgslType;
  readonly modes: readonly number[];
  readonly dtypes: readonly DType[];
  readonly outDType: DType;
  /** Axes of the broadcast, −1 for none. */
  readonly axes: number;
  readonly strided: boolean;
  readonly scalars: number;
}

/**
 * The WGSL of one variant. Uniform words: quads, invocations per grid row, scalars, extents (innermost first), strides of each broadcast input (after its offset, in
 * strided calls).
 */
function elementwiseWgsl(kernel: ElementwiseKernel, layout: Layout): string {
  const { type, dtypes, outDType, axes, scalars } = layout;
  const outBytes = bytesOf(outDType);
  const outs = ['out', ...kernel.others.map((_, j) => `out${j + 1}`)];
  let declarations = '';
  let binding = 0;
  layout.modes.forEach((mode, k) => {
    if (mode >= INPLACE) return;
    const element = mode === FLAT || mode === ROW ? quadType(bytesOf(dtypes[k] as DType)) : 'u32';
    declarations += `@group(0) @binding(${binding++}) var<storage, read> in${k}: array<${element}>;\n`;
  });
  for (const out of outs)
    declarations += `@group(0) @binding(${binding++}) var<storage, read_write> ${out}: array<${quadType(outBytes)}>;\n`;
  declarations += uniformBlock(binding);

  const extentWord = 2 + scalars;
  let strideWord = extentWord + axes;
  const strideOf = layout.modes.map((mode) => {
    const at = layout.strided ? strideWord + 1 : strideWord;
    if (isBroadcast(mode)) strideWord += layout.strided ? axes + 1 : axes;
    return at;
  });
  /** Lines that split a linear index `from` into `c0` (innermost) … */
  const coordinates = (from: string): string[] => {
    const lines: string[] = [];
    let rest = from;
    for (let d = 0; d < axes; d++) {
      if (d === axes - 1) {
        lines.push(`let c${d} = ${rest};`);
      } else {
        lines.push(
          `let c${d} = ${rest} % ${uniformWord(extentWord + d)};`,
          `let r${d} = ${rest} / ${uniformWord(extentWord + d)};`,
        );
        rest = `r${d}`;
      }
    }
    return lines;
  };
  const place = (k: number): string => {
    const terms = layout.strided ? [uniformWord((strideOf[k] as number) - 1)] : [];
    for (let d = 0; d < axes; d++) terms.push(`c${d} * ${uniformWord((strideOf[k] as number) + d)}`);
    return terms.join(' + ');
  };

  // One element: `f(i, the loaded inputs)`.
  const lines: string[] = [];
  const parameters = ['i: u32'];
  const anyLookup = layout.modes.includes(ANY);
  if (anyLookup) lines.push(...coordinates('i'));
  layout.modes.forEach((mode, k) => {
    const dtype = dtypes[k] as DType;
    if (mode !== ANY) {
      parameters.push(`x${k}: ${type}`);
      return;
    }
    lines.push(
      `let o${k} = ${place(k)};`,
      `let x${k} = ${wgslLoadBits(elementBits(`in${k}`, `o${k}`, bytesOf(dtype)), dtype, type)};`,
    );
  });
  const results = emitExprs(
    [kernel.expr, ...kernel.others],
    { type, input: (k) => `x${k}`, scalar: (k) => uniformAs(2 + k, type), index: 'i' },
    lines,
  ).map((text) => wgslStoreBits(text, type, outDType));
  const one = results.length === 1;
  const returned = one ? 'u32' : `array<u32, ${results.length}>`;
  lines.push(`return ${one ? results[0] : `${returned}(${results.join(', ')})`};`);
  const element = `fn f(${parameters.join(', ')}) -> ${returned} {\n  ${lines.join('\n  ')}\n}\n`;

  // Four of them.
  const main: string[] = [
    `let q = gid.x + gid.y * ${uniformWord(1)};`,
    `if (q >= ${uniformWord(0)}) { return; }`,
    'let i = q * 4u;',
  ];
  if (layout.modes.some((mode) => mode === ROW || mode === SPLAT)) main.push(...coordinates('i'));
  layout.modes.forEach((mode, k) => {
    const dtype = dtypes[k] as DType;
    if (mode === FLAT) main.push(`let w${k} = in${k}[q];`);
    else if (mode >= INPLACE) main.push(`let w${k} = ${outs[mode - INPLACE]}[q];`);
    else if (mode === ROW) main.push(`let w${k} = in${k}[(${place(k)}) >> 2u];`);
    else if (mode === ONE)
      main.push(`let w${k} = ${wgslLoadBits(elementBits(`in${k}`, '0u', bytesOf(dtype)), dtype, type)};`);
    else if (mode === SPLAT)
      main.push(
        `let o${k} = ${place(k)};`,
        `let w${k} = ${wgslLoadBits(elementBits(`in${k}`, `o${k}`, bytesOf(dtype)), dtype, type)};`,
      );
  });
  const ys: string[] = [];
  for (let lane = 0; lane < 4; lane++) {
    const args = [lane === 0 ? 'i' : `i + ${lane}u`];
    layout.modes.forEach((mode, k) => {
      const dtype = dtypes[k] as DType;
      if (mode === ONE || mode === SPLAT) args.push(`w${k}`);
      else if (mode !== ANY) args.push(wgslLoadBits(laneBits(`w${k}`, lane, bytesOf(dtype)), dtype, type));
    });
    ys.push(`y${lane}`);
    main.push(`let y${lane} = f(${args.join(', ')});`);
  }
  outs.forEach((out, j) => {
    const bits = one ? ys : ys.map((y) => `${y}[${j}]`);
    main.push(`${out}[q] = ${packQuad(bits, outBytes)};`);
  });
  const text = `${declarations}${element}@compute @workgroup_size(${WORKGROUP})\nfn main(@builtin(global_invocation_id) gid: vec3<u32>) {\n  ${main.join('\n  ')}\n}\n`;
  return mathFor(text) + text;
}
