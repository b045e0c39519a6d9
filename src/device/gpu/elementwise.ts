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
import type { Access, DispatchSink, GpuShader } from './lowering.ts';
import { mathFor } from './mathLibrary.ts';
import type { WgslType } from './wgslExpr.ts';
import { emitExpr, scalarsIn, wgslLoadBits, wgslStoreBits } from './wgslExpr.ts';

/** Invocations per workgroup. */
const WORKGROUP = 64;
const MAX_NDIM = 8;
const MAX_INPUTS = 7;
/** Words of the uniform block. */
const MAX_WORDS = 64;

/**
 * How an input lies to the output, four elements at a time.
 * - FLAT: the output's elements one by one. INPLACE: the same, and the output's own storage.
 * - ONE: a single element.
 * - ROW: broadcast, four neighbours lie side by side. SPLAT: broadcast, four neighbours are one element.
 * - ANY: broadcast, each element is looked up.
 */
const FLAT = 0;
const ONE = 1;
const ROW = 2;
const SPLAT = 3;
const ANY = 4;
const INPLACE = 5;

interface Variant {
  readonly shader: GpuShader;
}

interface Entry {
  readonly scalars: number;
  readonly variants: Map<number, Variant>;
}

const entries = new WeakMap<ElementwiseKernel, Entry>();

// What one call needs and the next overwrites: no arrays are made on the way.
const modes = new Uint8Array(MAX_INPUTS);
const extents = new Float64Array(MAX_NDIM);
/** Of input k along merged axis d (0 is the innermost): `strides[k·8 + d]`. */
const strides = new Float64Array(MAX_INPUTS * MAX_NDIM);
const running = new Float64Array(MAX_INPUTS);
const bound: Storage[] = [];

/**
 * Folds the output's axes as far as all broadcast inputs allow, into `extents` and `strides` (innermost first). Returns how many are left.
 */
function mergeAxes(inputs: readonly Operand[], shape: readonly number[]): number {
  let merged = 0;
  for (let k = 0; k < inputs.length; k++) running[k] = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    const extent = shape[d] as number;
    const fromEnd = shape.length - d;
    let folds = merged > 0;
    for (let k = 0; k < inputs.length; k++) {
      if (modes[k] !== ANY) continue;
      const own = (inputs[k] as Operand).shape;
      const ownExtent = fromEnd <= own.length ? (own[own.length - fromEnd] as number) : 1;
      const stride = ownExtent === 1 ? 0 : (running[k] as number);
      running[k] = (running[k] as number) * ownExtent;
      strides[k * MAX_NDIM + merged] = stride;
      if (
        folds &&
        stride !== (strides[k * MAX_NDIM + merged - 1] as number) * (extents[merged - 1] as number)
      )
        folds = false;
    }
    if (extent === 1) continue;
    if (folds) extents[merged - 1] = (extents[merged - 1] as number) * extent;
    else extents[merged++] = extent;
  }
  return merged;
}

/** Lowers an elementwise kernel to one dispatch. */
export function lowerElementwise(
  sink: DispatchSink,
  kernel: ElementwiseKernel,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  _dims: readonly number[],
  scalars: readonly number[],
): void {
  const output = outputs[0] as Operand;
  const { shape } = output;
  const size = sizeOf(shape);
  if (size === 0) return;
  let entry = entries.get(kernel);
  if (entry === undefined) {
    if (kernel.inputs > MAX_INPUTS)
      throw new DTypeError(
        `expected at most ${MAX_INPUTS} arrays in one elementwise kernel, received ${kernel.inputs}. Split it.`,
        { op: kernel.name },
      );
    entry = { scalars: scalarsIn(kernel.expr), variants: new Map() };
    entries.set(kernel, entry);
  }

  // How each input lies, as digits of one number.
  const count = inputs.length;
  let broadcast = false;
  for (let k = 0; k < count; k++) {
    const input = inputs[k] as Operand;
    const elements = sizeOf(input.shape);
    if (elements === size) {
      // As many elements as the output, hence in its order: broadcasting adds axes of extent 1 at most.
      const { storage } = input;
      const inPlace = storage.buffer === output.storage.buffer && storage.offset === output.storage.offset;
      modes[k] = inPlace ? INPLACE : FLAT;
    } else if (elements === 1) {
      modes[k] = ONE;
    } else {
      modes[k] = ANY;
      broadcast = true;
    }
  }
  let axes = 0;
  if (broadcast) {
    axes = mergeAxes(inputs, shape);
    if ((extents[0] as number) % 4 === 0) {
      for (let k = 0; k < count; k++)
        if (modes[k] === ANY) modes[k] = strides[k * MAX_NDIM] === 0 ? SPLAT : ROW;
    }
  }
  let key = DTYPE_CODE[output.dtype] * (MAX_NDIM + 1) + axes;
  for (let k = 0; k < count; k++)
    key = key * 48 + DTYPE_CODE[(inputs[k] as Operand).dtype] * 6 + (modes[k] as number);
  let words = 2 + entry.scalars;
  if (broadcast) {
    words += axes;
    for (let k = 0; k < count; k++) if ((modes[k] as number) >= ROW && modes[k] !== INPLACE) words += axes;
    if (words > MAX_WORDS) {
      lowerExpanded(sink, kernel, inputs, outputs, scalars);
      return;
    }
  }

  const type = computeTypeFor(kernel.computeFrom, inputs, outputs);
  if (type === 'f64')
    throw new DTypeError('expected a dtype that a GPU holds, received float64. Use float32, or the CPU.', {
      op: kernel.name,
    });
  let variant = entry.variants.get(key);
  if (variant === undefined) {
    variant = makeVariant(kernel, type, inputs, output.dtype, axes, entry.scalars, key);
    entry.variants.set(key, variant);
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
  if (broadcast) {
    for (let d = 0; d < axes; d++) sink.u32(extents[d] as number);
    for (let k = 0; k < count; k++) {
      if ((modes[k] as number) < ROW || modes[k] === INPLACE) continue;
      for (let d = 0; d < axes; d++) sink.u32(strides[k * MAX_NDIM + d] as number);
    }
  }
  let at = 0;
  for (let k = 0; k < count; k++) if (modes[k] !== INPLACE) bound[at++] = (inputs[k] as Operand).storage;
  bound[at] = output.storage;
  sink.dispatch(variant.shader, bound, x, Math.ceil(groups / x), 1);
}

const identity = elementwiseKernel('broadcast', 1, e.input(0));

/** For shapes whose strides do not fit the uniform block: broadcast inputs are written out first. */
function lowerExpanded(
  sink: DispatchSink,
  kernel: ElementwiseKernel,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  scalars: readonly number[],
): void {
  const output = outputs[0] as Operand;
  const size = sizeOf(output.shape);
  const whole = inputs.map((input): Operand => {
    if (sizeOf(input.shape) === size || sizeOf(input.shape) === 1) return input;
    const copy: Operand = {
      storage: sink.temporary(size * bytesOf(input.dtype)),
      dtype: input.dtype,
      shape: output.shape,
    };
    lowerElementwise(sink, identity, [input], [copy], [], []);
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
  scalars: number,
  key: number,
): Variant {
  const layout: Layout = {
    type,
    modes: Array.from(modes.subarray(0, inputs.length)),
    dtypes: inputs.map((input) => input.dtype),
    outDType,
    axes,
    scalars,
  };
  const bindings: Access[] = layout.modes.filter((mode) => mode !== INPLACE).map(() => 'read');
  bindings.push('read_write');
  return {
    shader: {
      key: `${kernel.key}|${key}`,
      label: kernel.name,
      bindings,
      code: () => elementwiseWgsl(kernel, layout),
    },
  };
}

interface Layout {
  readonly type: WgslType;
  readonly modes: readonly number[];
  readonly dtypes: readonly DType[];
  readonly outDType: DType;
  readonly axes: number;
  readonly scalars: number;
}

/** The WGSL of one variant. Uniform words: quads, invocations per grid row, scalars, extents (innermost first), strides of each broadcast input. */
function elementwiseWgsl(kernel: ElementwiseKernel, layout: Layout): string {
  const { type, dtypes, outDType, axes, scalars } = layout;
  const outBytes = bytesOf(outDType);
  const isBroadcast = (mode: number): boolean => mode === ROW || mode === SPLAT || mode === ANY;
  let declarations = '';
  let binding = 0;
  layout.modes.forEach((mode, k) => {
    if (mode === INPLACE) return;
    const element = mode === FLAT || mode === ROW ? quadType(bytesOf(dtypes[k] as DType)) : 'u32';
    declarations += `@group(0) @binding(${binding++}) var<storage, read> in${k}: array<${element}>;\n`;
  });
  declarations += `@group(0) @binding(${binding++}) var<storage, read_write> out: array<${quadType(outBytes)}>;\n`;
  declarations += uniformBlock(binding);

  const extentWord = 2 + scalars;
  let strideWord = extentWord + axes;
  const strideOf = layout.modes.map((mode) => {
    const at = strideWord;
    if (isBroadcast(mode)) strideWord += axes;
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
    const terms: string[] = [];
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
  const result = emitExpr(
    kernel.expr,
    { type, input: (k) => `x${k}`, scalar: (k) => uniformAs(2 + k, type), index: 'i' },
    lines,
  );
  const element = `fn f(${parameters.join(', ')}) -> u32 {\n  ${[...lines, `return ${wgslStoreBits(result, type, outDType)};`].join('\n  ')}\n}\n`;

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
    else if (mode === INPLACE) main.push(`let w${k} = out[q];`);
    else if (mode === ROW) main.push(`let w${k} = in${k}[(${place(k)}) >> 2u];`);
    else if (mode === ONE)
      main.push(`let w${k} = ${wgslLoadBits(elementBits(`in${k}`, '0u', bytesOf(dtype)), dtype, type)};`);
    else if (mode === SPLAT)
      main.push(
        `let o${k} = ${place(k)};`,
        `let w${k} = ${wgslLoadBits(elementBits(`in${k}`, `o${k}`, bytesOf(dtype)), dtype, type)};`,
      );
  });
  const results: string[] = [];
  for (let lane = 0; lane < 4; lane++) {
    const args = [lane === 0 ? 'i' : `i + ${lane}u`];
    layout.modes.forEach((mode, k) => {
      const dtype = dtypes[k] as DType;
      if (mode === ONE || mode === SPLAT) args.push(`w${k}`);
      else if (mode !== ANY) args.push(wgslLoadBits(laneBits(`w${k}`, lane, bytesOf(dtype)), dtype, type));
    });
    results.push(`y${lane}`);
    main.push(`let y${lane} = f(${args.join(', ')});`);
  }
  main.push(`out[q] = ${packQuad(results, outBytes)};`);
  const text = `${declarations}${element}@compute @workgroup_size(${WORKGROUP})\nfn main(@builtin(global_invocation_id) gid: vec3<u32>) {\n  ${main.join('\n  ')}\n}\n`;
  return mathFor(text) + text;
}
