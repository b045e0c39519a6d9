// Product kernels: operands brought to numbers that the engine reads, the form's tables, the store. Float32 goes to the compiled kernels, all else to loops in JavaScript.
import type { ComputeType, DType } from '../../../core/dtype.ts';
import { bytesOf, computeTypeOf } from '../../../core/dtype.ts';
import { sameShape, sizeOf } from '../../../core/shape.ts';
import type { Operand, ProductKernel } from '../../../ir/kernel.ts';
import { moveBetween } from '../convert.ts';
import { copyStrided } from '../custom/copy.ts';
import type { CompiledElementwise, ElementwiseRunner } from '../elementwise.ts';
import type { Heap } from '../heap.ts';
import { NATIVE } from '../program.ts';
import type { Scratch } from '../scratch.ts';
import type { Temporaries } from '../temporaries.ts';
import { ProductCall } from './calls.ts';
import type { Engine } from './forms.ts';
import { conv, convGradData, convGradWeight, matmul } from './forms.ts';
import { geometryOf, volume } from './geometry.ts';
import { PlainProduct } from './plain.ts';
import { CompiledEpilogue, ProductStore } from './store.ts';
import type { TiledProduct } from './tiled.ts';

/** Calls that are kept for each kernel; they are dropped together. */
const MOST_CALLS = 256;

/** A kernel's epilogue, and its calls by a hash of their `dims`. */
class Compiled extends CompiledEpilogue {
  readonly calls = new Map<number, ProductCall>();
}

export class ProductRunner {
  readonly #heap: Heap;
  readonly #scratch: Scratch;
  readonly #temporaries: Temporaries;
  readonly #tiled: TiledProduct;
  readonly #elementwise: ElementwiseRunner;
  readonly #compiled = new WeakMap<ProductKernel, Compiled>();

  /** `tiled`: the compiled kernels. */
  constructor(
    heap: Heap,
    scratch: Scratch,
    temporaries: Temporaries,
    elementwise: ElementwiseRunner,
    tiled: TiledProduct,
  ) {
    this.#tiled = tiled;
    this.#heap = heap;
    this.#scratch = scratch;
    this.#temporaries = temporaries;
    this.#elementwise = elementwise;
  }

  run(
    kernel: ProductKernel,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    dims: readonly number[],
    scalars: readonly number[],
  ): void {
    this.#runCall(this.#callOf(kernel, outputs, dims), inputs, outputs, dims, scalars);
  }

  /** A run with everything found out that does not change from run to run; operands may come to lie elsewhere. */
  prepare(
    kernel: ProductKernel,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    dims: readonly number[],
  ): (scalars: readonly number[]) => void {
    const call = this.#callOf(kernel, outputs, dims);
    return (scalars) => this.#runCall(call, inputs, outputs, dims, scalars);
  }

  #callOf(kernel: ProductKernel, outputs: readonly Operand[], dims: readonly number[]): ProductCall {
    let compiled = this.#compiled.get(kernel);
    if (compiled === undefined) {
      compiled = new Compiled(kernel);
      this.#compiled.set(kernel, compiled);
    }
    const { calls } = compiled;
    const type = computeTypeOf((outputs[0] as Operand).dtype);
    let hash = 0;
    for (let i = 0; i < dims.length; i++) hash = (Math.imul(hash, 31) + (dims[i] as number)) | 0;
    const known = calls.get(hash);
    if (known !== undefined && known.type === type && sameShape(known.dims, dims)) return known;
    if (calls.size >= MOST_CALLS) calls.clear();
    const call = new ProductCall(kernel, compiled, type, dims);
    calls.set(hash, call);
    return call;
  }

  #runCall(
    call: ProductCall,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    dims: readonly number[],
    scalars: readonly number[],
  ): void {
    const { kernel, compiled, type } = call;
    const out = outputs[0] as Operand;
    const bias = kernel.bias === 'none' ? undefined : inputs[2];
    // conversions allocate, which may renew the heap's views: so first all of them, then the views
    const a = this.#bring(inputs[0] as Operand, type);
    const b = this.#bring(inputs[1] as Operand, type);
    if (kernel.rowSum) this.#sumRows(kernel, type, a, outputs[1] as Operand, dims);
    if (call.size === 0) {
      // nothing to compute
    } else if (compiled.pass !== null) {
      const extras = inputs.slice(bias === undefined ? 2 : 3);
      this.#runWithPass(call, compiled.pass, a, b, bias, extras, out, scalars);
    } else this.#compute(call, a, b, bias, out, scalars);
    this.#temporaries.release();
  }

  /** The product with an epilogue that reads more than the sums, which are stored before. */
  #runWithPass(
    call: ProductCall,
    pass: CompiledElementwise,
    a: number,
    b: number,
    bias: Operand | undefined,
    extras: readonly Operand[],
    out: Operand,
    scalars: readonly number[],
  ): void {
    const { kernel, type, shape, size } = call;
    const [, rows, columns] = shape;
    const native = NATIVE[type];
    const stay = call.plain && out.dtype === native;
    const sums = stay ? out : this.#temporary(native, shape);
    this.#compute(call.inOrder(), a, b, bias, sums, scalars);
    const shapes = { full: shape, m: [rows, 1], n: [columns], one: [1] };
    const inputs = [sums, ...extras].map(({ storage, dtype }, k) => ({
      storage,
      dtype,
      shape: shapes[k === 0 ? 'full' : (kernel.extras[k - 1] ?? 'full')],
    }));
    const target = { ...(call.plain ? out : sums), shape };
    this.#elementwise.runCompiled(pass, type, inputs, [target], size, scalars);
    if (!call.plain) this.#scatter(call, native, sums.storage.offset, out);
  }

  /** Memory for an array of the call. */
  #temporary(dtype: DType, shape: readonly number[]): Operand {
    const bytes = sizeOf(shape) * bytesOf(dtype);
    return {
      storage: { buffer: 0, offset: this.#temporaries.take(bytes), bytes, refs: 0, userRefs: 0 },
      dtype,
      shape,
    };
  }

  /** The sums with bias and an epilogue that reads nothing else. */
  #compute(
    call: ProductCall,
    a: number,
    b: number,
    bias: Operand | undefined,
    out: Operand,
    scalars: readonly number[],
  ): void {
    const { kernel, compiled, type } = call;
    if (type === 'f32') {
      this.#runTiled(call, a * 4, b * 4, bias, out, scalars);
      return;
    }
    const store = new ProductStore(this.#heap, this.#scratch, compiled, kernel, type, bias, out, scalars);
    const plain = new PlainProduct(this.#tiled, store, type === 'i32' || type === 'u32');
    runOn(plain, call, a * 8, b * 8, 0);
  }

  /** Float32 by the compiled kernels; `a` and `b` in bytes. */
  #runTiled(
    call: ProductCall,
    a: number,
    b: number,
    bias: Operand | undefined,
    out: Operand,
    scalars: readonly number[],
  ): void {
    const { compiled, size, finish } = call;
    const native = out.dtype === 'float32';
    if (bias !== undefined) finish.bias = this.#bring(bias, 'f32') * 4;
    // what is computed apart from the output, because it is converted or finished afterwards, lies in order
    const apart = !native || (!call.plain && compiled.program !== null && !compiled.relu);
    const c = apart ? this.#temporaries.take(size * 4) : out.storage.offset;
    runOn(this.#tiled, apart ? call.inOrder() : call, a, b, c);
    if (!compiled.relu) compiled.finish(this.#heap, this.#scratch, 'f32', c / 4, size, scalars);
    if (!apart) return;
    if (!call.plain) this.#scatter(call, 'float32', c, out);
    else
      moveBetween('float32', out.dtype)(
        this.#heap,
        size,
        out.storage.offset / bytesOf(out.dtype),
        1,
        c / 4,
        1,
      );
  }

  /** Brings results that lie in order to where a matrix product's results belong. */
  #scatter({ matmulCall }: ProductCall, fromType: DType, from: number, out: Operand): void {
    if (matmulCall === null) return;
    const { batch, M, N, inner, cSteps, cRow } = matmulCall.layout;
    copyStrided(
      this.#heap,
      fromType,
      out.dtype,
      from / bytesOf(fromType),
      out.storage.offset / bytesOf(out.dtype),
      [batch / inner, inner, M, N],
      [inner * M * N, M * N, N, 1],
      [cSteps[0], cSteps[1], cRow, 1],
    );
  }

  /** The second output of `rowSum`; `a` counts elements of the compute type. */
  #sumRows(kernel: ProductKernel, type: ComputeType, a: number, out: Operand, dims: readonly number[]): void {
    const n = sizeOf(out.shape);
    const to = out.storage.offset / 4;
    const [batch = 0, M = 0, second = 0, K = 0, aStep = 0] = dims;
    const { f32, f64, kernels } = this.#heap;
    const single = type === 'f32';
    if (kernel.form === 'matmul') {
      for (let i = 0; i < batch; i++) {
        const at = a + i * aStep;
        if (single) {
          if (kernel.transposeA) kernels.vector.columnSums((to + i * M) * 4, at * 4, K, M, M * 4);
          else kernels.vector.rowSums((to + i * M) * 4, at * 4, 1, M, K);
        } else
          for (let m = 0; m < M; m++)
            f32[to + i * M + m] = kernel.transposeA
              ? sumOf(f64, at + m, 1, 0, K, M)
              : sumOf(f64, at + m * K, 1, 0, K, 1);
      }
      return;
    }
    const pixels = volume(geometryOf(dims).o);
    if (single) kernels.vector.rowSums(to * 4, a * 4, batch, n, pixels);
    else
      for (let o = 0; o < second; o++)
        f32[to + o] = sumOf(f64, a + o * pixels, batch, second * pixels, pixels, 1);
  }

  /** The index of the operand's first element among float32 (for compiled kernels) or float64 (for all else, where integers are exact). */
  #bring(operand: Operand, type: ComputeType): number {
    const wanted: DType = type === 'f32' ? 'float32' : 'float64';
    const width = bytesOf(wanted);
    if (operand.dtype === wanted) return operand.storage.offset / width;
    const n = sizeOf(operand.shape);
    const at = this.#temporaries.take(n * width) / width;
    moveBetween(operand.dtype, wanted)(
      this.#heap,
      n,
      at,
      1,
      operand.storage.offset / bytesOf(operand.dtype),
      1,
    );
    return at;
  }
}

/** Sums `n` elements in each of `images`, whose sums are rounded as those of a kernel of its own would be. */
function sumOf(
  data: Float64Array,
  at: number,
  images: number,
  imageStep: number,
  n: number,
  step: number,
): number {
  let all = 0;
  for (let i = 0; i < images; i++) {
    let sum = 0;
    for (let k = 0, p = at + i * imageStep; k < n; k++, p += step) sum += data[p] as number;
    all += Math.fround(sum);
  }
  return all;
}

function runOn(
  engine: Engine,
  { matmulCall, convCall, finish }: ProductCall,
  a: number,
  b: number,
  c: number,
): void {
  if (matmulCall !== null) matmul(engine, matmulCall, a, b, c, finish);
  else if (convCall === null || engine.depthwise?.(convCall, a, b, c, finish) === true) return;
  else if (convCall.form === 'convGradWeight') convGradWeight(engine, convCall, a, b, c, finish);
  else if (convCall.form === 'convGradData') convGradData(engine, convCall, a, b, c, finish);
  else conv(engine, convCall, a, b, c, finish);
}
