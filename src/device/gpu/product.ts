// Lowers the tiled product: from a call of a ProductKernel to one dispatch, or two where the sums go through scratch memory (a split along k, or
// elements narrower than a word whose rows do not end at words). Which tile: productPlan.ts. What the shader says: productHead.ts.
// A repeated call finds its plan by comparing a few numbers and makes no objects.
import type { DType } from '../../core/dtype.ts';
import { bytesOf, computeTypeOf } from '../../core/dtype.ts';
import { DTypeError } from '../../core/errors.ts';
import { sizeOf } from '../../core/shape.ts';
import { exprKey } from '../../ir/expr.ts';
import type { Operand, ProductKernel } from '../../ir/kernel.ts';
import type { Storage } from '../../ir/storage.ts';
import { lowerCopy } from './customCopy.ts';
import type { Access, DispatchSink, GpuShader, GpuTraits, Lowering } from './lowering.ts';
import { storesSingly } from './productElements.ts';
import type { Ending, ProductVariant } from './productHead.ts';
import { FINISH_THREADS, finishCode, productCode, productSizes } from './productHead.ts';
import type { ProductTraits } from './productHoles.ts';
import type { ProductPlan } from './productPlan.ts';
import { planProduct, tilesOf } from './productPlan.ts';
import type { ProductShape } from './productShape.ts';
import { productShape } from './productShape.ts';
import type { WgslType } from './wgslExpr.ts';

/** One dispatch, ready but for storages and scalars. */
interface Pass {
  readonly shader: GpuShader;
  readonly parameters: readonly number[];
  readonly x: number;
  readonly y: number;
}

/** What a kernel does for one set of dims and dtypes on one adapter. */
interface Prepared {
  readonly traits: GpuTraits;
  /** Whether all sizes are constants in the text. */
  readonly constants: boolean;
  readonly dims: readonly number[];
  readonly dtypes: readonly DType[];
  readonly first: Pass;
  readonly second: Pass | null;
  readonly temporaryBytes: number;
  /** Of the scratch memory for row sums. */
  readonly rowBytes: number;
  /** The output cannot be stored as it lies: it is made in the plain order first, by these dims, and copied by those. */
  readonly apart: { readonly dims: readonly number[]; readonly copy: readonly number[] } | null;
}

/** Plans kept per kernel; a new one takes the place of one that has been used little of late. */
const MAX_PREPARED = 32;
/** By the kernel's key, and, to save comparing texts, by the kernel itself. */
const preparedByKey = new Map<string, Prepared[]>();
const prepared = new WeakMap<ProductKernel, Prepared[]>();
const shaders = new Map<string, GpuShader>();

function shaderOf(
  key: string,
  label: string,
  bindings: readonly Access[],
  sized: boolean,
  code: () => string,
): GpuShader {
  let shader = shaders.get(key);
  if (shader === undefined) {
    shader = { key, label, bindings, code, sized };
    shaders.set(key, shader);
  }
  return shader;
}

/** Spreads workgroups over x and y, each at most `most`. */
function grid(workgroups: number, most: number): { readonly x: number; readonly y: number } {
  if (workgroups <= most) return { x: workgroups, y: workgroups === 0 ? 0 : 1 };
  const y = Math.ceil(workgroups / most);
  return { x: Math.ceil(workgroups / y), y };
}

/** The sizes that are constants in eager mode: a convolution's window, by which every load divides. A network has few of them. */
function fixedSizes(shape: ProductShape): ReadonlyMap<string, number> {
  const names =
    shape.form === 'conv'
      ? ['kD', 'kH', 'kW']
      : shape.form === 'convGradData'
        ? ['kD', 'kH', 'kW', 'kVolume', 'sD', 'sH', 'sW']
        : [];
  return new Map(names.map((name) => [name, shape.sizes.get(name) ?? 1]));
}

/** The number type of a product, or an error where a GPU has none. */
function typeOf(inputs: readonly DType[]): WgslType {
  const types = inputs.slice(0, 2).map(computeTypeOf);
  if (types.includes('f64'))
    throw new DTypeError(
      'expected operands that a GPU can multiply, received float64. Cast to float32 first, or use the CPU.',
      { op: 'product' },
    );
  if (types.includes('f32')) return 'f32';
  return types[0] === 'u32' && types[1] === 'u32' ? 'u32' : 'i32';
}

/** The variant and second pass that a call takes. */
export interface ProductVariants {
  readonly shape: ProductShape;
  readonly plan: ProductPlan;
  readonly product: ProductVariant;
  /** The ending that a second pass does, if any. */
  readonly finish: Ending | null;
}

/** Whether A, whose rows are the output's channels, is the second input: the weight of `conv` and `convGradData`. */
function weightIsA(kernel: ProductKernel): boolean {
  return kernel.form === 'conv' || kernel.form === 'convGradData';
}

/** Chooses how a call is computed: pure, for `lowerProduct` and for tests that look at its choices or its text. */
export function chooseProduct(
  kernel: ProductKernel,
  dims: readonly number[],
  dtypes: readonly DType[],
  traits: GpuTraits,
): ProductVariants {
  const shape = productShape(kernel, dims);
  const plan = planProduct(shape, traits);
  const [first = 'float32', second = 'float32'] = dtypes;
  const [a, b] = weightIsA(kernel) ? [second, first] : [first, second];
  const output = dtypes[dtypes.length - 1] ?? 'float32';
  // a convolution's bias is one per channel, whatever it is called
  const bias = kernel.bias === 'none' ? 'none' : shape.form === 'matmul' ? kernel.bias : 'm';
  const { epilogue, extras } = kernel;
  const ending: Ending = { bias, biasType: dtypes[2] ?? 'float32', epilogue, extras, output };
  const twice = plan.splits > 1 || (!storesSingly(output) && !shape.cVec4);
  // Checks when storing are left out only in the tiled body, whose tiles are large; elsewhere one shader serves more shapes.
  const tiled = plan.body === 'tiled';
  const productTraits: ProductTraits = {
    form: shape.form,
    aAlong: shape.aAlong,
    bAlong: shape.bAlong,
    aVec4: shape.aVec4,
    bVec4: shape.bVec4,
    cVec4: shape.cVec4,
    axes: shape.axes,
    padded: shape.padded,
    pointwise: shape.pointwise,
    strided: shape.strided,
    exactK: shape.k % plan.step === 0,
    exactC: tiled && shape.m % plan.rows === 0 && shape.n % plan.cols === 0,
  };
  const product: ProductVariant = {
    traits: productTraits,
    plan,
    type: typeOf([a, b]),
    a,
    b,
    ending: twice ? null : ending,
    sizeNames: [...shape.sizes.keys()],
    rowSum: shape.rowSum,
    fixed: fixedSizes(shape),
  };
  return { shape, plan, product, finish: twice ? ending : null };
}

function endingKey(e: Ending): string {
  return `${e.bias}${e.bias === 'none' ? '' : e.biasType}[${e.extras.join()}]>${e.output}:${e.epilogue === null ? '' : exprKey(e.epilogue)}`;
}

function variantKey(v: ProductVariant): string {
  const { traits: t, plan: p } = v;
  const flags = [t.aVec4, t.bVec4, t.cVec4, t.padded, t.exactK, t.exactC, t.strided, v.rowSum]
    .map((f) => (f ? '1' : '0'))
    .join('');
  const fixed = [...v.fixed.values()].join('x');
  const tile = `${p.body}${p.rows}x${p.cols}x${p.step}t${p.threadsM}x${p.threadsN}s${p.stages}`;
  return `product:${t.form}${t.aAlong}${t.bAlong}${t.axes}f${flags}w${fixed};${tile};${v.type}${v.a}*${v.b};${v.ending === null ? 'parts' : endingKey(v.ending)}`;
}

/** The dims of the same matrices with C in the plain order, and those of the copy (ir/kernel.ts: `stridedCopy`) that brings it to its places. */
function apartDims(dims: readonly number[]): NonNullable<Prepared['apart']> {
  const [batch = 0, m = 0, n = 0] = dims;
  const [inner = 1] = dims.slice(6);
  const [cBatch = 0, cInner = 0, cRow = 0] = dims.slice(11);
  const plain = [inner * m * n, m * n, n];
  return {
    dims: [...dims.slice(0, 11), ...plain],
    copy: [4, 0, 0, Math.ceil(batch / inner), inner, m, n, ...plain, 1, cBatch, cInner, cRow, 1],
  };
}

function prepare(
  kernel: ProductKernel,
  dims: readonly number[],
  dtypes: readonly DType[],
  traits: GpuTraits,
  constants: boolean,
): Prepared {
  const { shape, plan, product: variant, finish } = chooseProduct(kernel, dims, dtypes, traits);
  const output = dtypes[dtypes.length - 1] ?? 'float32';
  const apart = shape.strided && !storesSingly(output) && !shape.cVec4 ? apartDims(dims) : null;
  if (apart?.dims.some((d, i) => d !== dims[i]) === true) {
    return { ...prepare(kernel, apart.dims, dtypes, traits, constants), dims: dims.slice(), apart };
  }
  const tiles = tilesOf(plan, shape);
  const workgroups = plan.body === 'direct' ? Math.ceil(tiles.all / plan.threadsN) : tiles.all;
  const first = grid(workgroups, traits.maxWorkgroups);
  const partStride = Math.ceil(shape.outputs / 4) * 4;
  const common = [
    shape.m,
    shape.n,
    shape.k,
    tiles.down,
    tiles.across,
    tiles.all,
    first.x,
    shape.groups,
    plan.splits,
    plan.chunk,
    partStride,
  ];
  const sizes = [...common, ...shape.sizes.values()];
  const product = constants
    ? { ...variant, fixed: new Map(productSizes(variant).map((name, i) => [name, sizes[i] ?? 0])) }
    : variant;
  const read = (count: number): Access[] => new Array<Access>(count).fill('read');
  const bias = kernel.bias === 'none' ? 0 : 1;
  const written: Access[] = kernel.rowSum ? ['read_write', 'read_write'] : ['read_write'];
  const bindings = [...read(2 + (finish === null ? bias + kernel.extras.length : 0)), ...written];
  const firstPass: Pass = {
    shader: shaderOf(variantKey(product), kernel.name, bindings, false, () => productCode(product)),
    parameters: sizes,
    ...first,
  };
  const rows = shape.sizes.get('rows') ?? 0;
  let second: Pass | null = null;
  if (finish !== null) {
    const end = kernel.rowSum ? partStride + rows : shape.outputs;
    const at = grid(Math.ceil(end / (4 * FINISH_THREADS)), traits.maxWorkgroups);
    const { splits } = plan;
    const { outputs, biasEvery, biasCount, rowEvery, rowCount, n } = shape;
    second = {
      shader: shaderOf(
        `productFinish:${product.type}${kernel.rowSum ? 's' : ''}${endingKey(finish)}`,
        kernel.name,
        [...read(1 + (kernel.rowSum ? 1 : 0) + bias + kernel.extras.length), ...written],
        true,
        () => finishCode(finish, product.type, kernel.rowSum),
      ),
      parameters: [outputs, splits, partStride, at.x, biasEvery, biasCount, rowEvery, rowCount, n, end, rows],
      ...at,
    };
  }
  return {
    traits,
    constants,
    dims: dims.slice(),
    dtypes: dtypes.slice(),
    first: firstPass,
    second,
    temporaryBytes: partStride * plan.splits * 4,
    rowBytes: rows * plan.splits * 4,
    apart: null,
  };
}

function matches(
  p: Prepared,
  sink: DispatchSink,
  dims: readonly number[],
  inputs: readonly Operand[],
  output: Operand,
): boolean {
  if (p.traits !== sink.traits || p.constants !== (sink.constants === true)) return false;
  if (p.dims.length !== dims.length || p.dtypes.length !== inputs.length + 1) return false;
  for (let i = 0; i < dims.length; i++) if (p.dims[i] !== dims[i]) return false;
  for (let i = 0; i < inputs.length; i++) if (p.dtypes[i] !== inputs[i]?.dtype) return false;
  return p.dtypes[inputs.length] === output.dtype;
}

function find(
  kernel: ProductKernel,
  sink: DispatchSink,
  dims: readonly number[],
  inputs: readonly Operand[],
  output: Operand,
): Prepared {
  let list = prepared.get(kernel);
  if (list === undefined) {
    list = preparedByKey.get(kernel.key) ?? [];
    preparedByKey.set(kernel.key, list);
    prepared.set(kernel, list);
  }
  for (let i = 0; i < list.length; i++) {
    const p = list[i];
    if (p === undefined || !matches(p, sink, dims, inputs, output)) continue;
    if (i > 0) {
      // nearer to the front by one, so that what is used often is found soon
      list[i] = list[i - 1] as Prepared;
      list[i - 1] = p;
    }
    return p;
  }
  const dtypes = [...inputs.map((o) => o.dtype), output.dtype];
  const made = prepare(kernel, dims, dtypes, sink.traits, sink.constants === true);
  if (list.length === MAX_PREPARED) list.pop();
  list.push(made);
  return made;
}

function encode(
  sink: DispatchSink,
  pass: Pass,
  scalars: readonly number[],
  storages: readonly Storage[],
): void {
  for (const value of pass.parameters) sink.u32(value);
  for (const value of scalars) sink.f32(value);
  sink.dispatch(pass.shader, storages, pass.x, pass.y, 1);
}

/** The storages of a dispatch, handed over and used up within the call. */
const bound: Storage[] = [];
const NONE: readonly number[] = [];

/** Lowers a product: see `ProductKernel` for operands, `dims` and scalars. Bad dtypes throw DTypeError before anything is encoded. */
export const lowerProduct: Lowering<ProductKernel> = (sink, kernel, inputs, outputs, dims, scalars) => {
  const swapped = weightIsA(kernel);
  const a = inputs[swapped ? 1 : 0];
  const b = inputs[swapped ? 0 : 1];
  const output = outputs[0];
  if (a === undefined || b === undefined || output === undefined)
    throw new RangeError('a product was run without its operands');
  const plan = find(kernel, sink, dims, inputs, output);
  if (plan.first.x === 0) return;
  const plain: Operand =
    plan.apart === null
      ? output
      : { ...output, storage: sink.temporary(sizeOf(plan.apart.copy.slice(3, 7)) * bytesOf(output.dtype)) };
  const scratch = plan.second === null ? undefined : sink.temporary(plan.temporaryBytes);
  const rows = kernel.rowSum ? (outputs[1] as Operand).storage : undefined;
  const rowParts = rows === undefined || scratch === undefined ? undefined : sink.temporary(plan.rowBytes);
  bound.length = 0;
  bound.push(a.storage, b.storage);
  if (scratch === undefined) pushAfterSum(inputs);
  bound.push(scratch ?? plain.storage);
  if (rows !== undefined) bound.push(rowParts ?? rows);
  encode(sink, plan.first, scratch === undefined ? scalars : NONE, bound);
  if (plan.second !== null && scratch !== undefined) {
    bound.length = 0;
    bound.push(scratch);
    if (rowParts !== undefined) bound.push(rowParts);
    pushAfterSum(inputs);
    bound.push(plain.storage);
    if (rows !== undefined) bound.push(rows);
    encode(sink, plan.second, scalars, bound);
  }
  if (plan.apart !== null) lowerCopy(sink, [plain], outputs, plan.apart.copy);
};

/** The bias, if there is one, and the extras. */
function pushAfterSum(inputs: readonly Operand[]): void {
  for (let i = 2; i < inputs.length; i++) bound.push((inputs[i] as Operand).storage);
}

/** The WGSL texts of a call, first pass first: for snapshots and for reading. */
export function productShaderTexts(
  kernel: ProductKernel,
  dims: readonly number[],
  dtypes: readonly DType[],
  traits: GpuTraits,
): string[] {
  const { product, finish } = chooseProduct(kernel, dims, dtypes, traits);
  return finish === null
    ? [productCode(product)]
    : [productCode(product), finishCode(finish, product.type, product.rowSum)];
}
