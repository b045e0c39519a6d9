// Product kernels: operands brought to numbers the packers read, the form's routine, the store. Float32 goes to the compiled kernels where there are
// any; the routines in JavaScript do the other dtypes, small products, and everything on a machine without SIMD.
import type { ComputeType, DType } from '../../../core/dtype.ts';
import { bytesOf, computeTypeOf } from '../../../core/dtype.ts';
import { sizeOf } from '../../../core/shape.ts';
import type { Operand, ProductKernel } from '../../../ir/kernel.ts';
import { moveBetween } from '../convert.ts';
import type { Heap } from '../heap.ts';
import type { Scratch } from '../scratch.ts';
import type { Temporaries } from '../temporaries.ts';
import type { Source } from './conv.ts';
import { conv, convGradData, convGradWeight, marginsOf } from './conv.ts';
import { depthwiseConv, depthwiseGradData, depthwiseGradWeight, isDepthwise } from './depthwise.ts';
import type { Floats } from './gemm.ts';
import { matmul, TINY } from './matmul.ts';
import type { ConvGeometry, Triple } from './patches.ts';
import { geometryOf, volume } from './patches.ts';
import { CompiledEpilogue, ProductStore } from './store.ts';
import type { Finish, TiledProduct } from './tiled.ts';

/** Above this a source is read with a look at its bounds rather than copied with zeros around it; its edges are a small part of it then. */
const MOST_MARGIN_BYTES = 2 ** 26;

function copyRow(data: Floats, to: number, from: number, n: number): void {
  if (n > 64) data.copyWithin(to, from, from + n);
  else for (let i = 0; i < n; i++) data[to + i] = data[from + i] as number;
}

export class ProductRunner {
  readonly #heap: Heap;
  readonly #scratch: Scratch;
  readonly #temporaries: Temporaries;
  readonly #tiled: TiledProduct | null;
  readonly #mostMarginBytes: number;
  readonly #compiled = new WeakMap<ProductKernel, CompiledEpilogue>();

  /**
   * `tiled`: the compiled kernels. `mostMarginBytes`: how large a copy of a convolution's source with zeros around it may be in the routines in JavaScript.
   */
  constructor(
    heap: Heap,
    scratch: Scratch,
    temporaries: Temporaries,
    tiled: TiledProduct | null = null,
    mostMarginBytes = MOST_MARGIN_BYTES,
  ) {
    this.#tiled = tiled;
    this.#mostMarginBytes = mostMarginBytes;
    this.#heap = heap;
    this.#scratch = scratch;
    this.#temporaries = temporaries;
  }

  run(
    kernel: ProductKernel,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    dims: readonly number[],
    scalars: readonly number[],
  ): void {
    const out = outputs[0] as Operand;
    if (sizeOf(out.shape) === 0) return;
    let compiled = this.#compiled.get(kernel);
    if (compiled === undefined) {
      compiled = new CompiledEpilogue(kernel);
      this.#compiled.set(kernel, compiled);
    }
    const type = computeTypeOf(out.dtype);
    const integers = type === 'i32' || type === 'u32';
    const bias = kernel.bias === 'none' ? undefined : inputs[2];
    const left = inputs[0] as Operand;
    const right = inputs[1] as Operand;
    // conversions allocate, which may renew the heap's views: so first all of them, then the views
    const a = this.#bring(left, type);
    const b = this.#bring(right, type);
    if (type === 'f32' && this.#tiled !== null && !isSmall(kernel, dims)) {
      this.#runTiled(this.#tiled, kernel, compiled, dims, a * 4, b * 4, bias, out, scalars);
      this.#temporaries.release();
      return;
    }
    const store = new ProductStore(this.#heap, this.#scratch, compiled, kernel, type, bias, out, scalars);
    const data = type === 'f32' ? this.#heap.f32 : this.#heap.f64;
    const x: Source = { data, at: a };
    const y: Source = { data, at: b };
    if (kernel.form === 'matmul') matmul(kernel, dims, x, y, store, integers);
    else {
      const g = geometryOf(dims);
      if (integers || !isDepthwise(g)) this.#convolve(kernel.form, g, type, a, b, store, integers);
      else if (kernel.form === 'conv') depthwiseConv(g, x, y, store);
      else if (kernel.form === 'convGradData') depthwiseGradData(g, x, y, store);
      else depthwiseGradWeight(g, x, y, store);
    }
    this.#temporaries.release();
  }

  /** Float32 by the compiled kernels; `a` and `b` in bytes. */
  #runTiled(
    tiled: TiledProduct,
    kernel: ProductKernel,
    compiled: CompiledEpilogue,
    dims: readonly number[],
    a: number,
    b: number,
    bias: Operand | undefined,
    out: Operand,
    scalars: readonly number[],
  ): void {
    const size = sizeOf(out.shape);
    const native = out.dtype === 'float32';
    const finish: Finish = {
      bias: bias === undefined ? 0 : this.#bring(bias, 'f32') * 4,
      kind: bias === undefined ? 'none' : kernel.bias,
      relu: compiled.relu,
    };
    const c = native ? out.storage.offset : this.#temporaries.take(size * 4);
    switch (kernel.form) {
      case 'matmul':
        tiled.matmul(kernel.transposeA, kernel.transposeB, dims, a, b, c, finish);
        break;
      case 'conv': {
        const g = geometryOf(dims);
        if (isDepthwise(g)) tiled.depthwise(g, a, b, c, finish);
        else tiled.conv(g, a, b, c, finish);
        break;
      }
      case 'convGradData':
        tiled.convGradData(geometryOf(dims), a, b, c, finish);
        break;
      case 'convGradWeight':
        tiled.convGradWeight(geometryOf(dims), a, b, c, finish);
        break;
    }
    if (!compiled.relu) compiled.finish(this.#heap, this.#scratch, 'f32', c / 4, size, scalars);
    if (!native)
      moveBetween('float32', out.dtype)(
        this.#heap,
        size,
        out.storage.offset / bytesOf(out.dtype),
        1,
        c / 4,
        1,
      );
  }

  #convolve(
    form: ProductKernel['form'],
    g: ConvGeometry,
    type: ComputeType,
    a: number,
    b: number,
    store: ProductStore,
    integers: boolean,
  ): void {
    // patches are read from x: the first operand, or for the weights' gradient the second
    const second = form === 'convGradWeight';
    const { extents, before, after } = marginsOf(form, g);
    const channels = form === 'convGradData' ? g.O : g.C;
    const margins = this.#surround(g.N * channels, extents, before, after, type, second ? b : a);
    const data = type === 'f32' ? this.#heap.f32 : this.#heap.f64;
    const source = { data, ...margins };
    const other = { data, at: second ? a : b };
    if (form === 'conv') conv(g, source, other, store, integers);
    else if (form === 'convGradData') convGradData(g, source, other, store, integers);
    else convGradWeight(g, other, source, store, integers);
  }

  /** A copy of `planes` boxes with zeros around each; none where there is nothing to add or the copy would be large. */
  #surround(
    planes: number,
    extents: Triple,
    before: Triple,
    after: Triple,
    type: ComputeType,
    from: number,
  ): { at: number; extents: Triple; before: Triple } {
    const wide: Triple = [
      before[0] + extents[0] + after[0],
      before[1] + extents[1] + after[1],
      before[2] + extents[2] + after[2],
    ];
    const width = type === 'f32' ? 4 : 8;
    const bytes = planes * volume(wide) * width;
    if (volume(wide) === volume(extents) || bytes > this.#mostMarginBytes)
      return { at: from, extents, before: [0, 0, 0] };
    const at = this.#temporaries.take(bytes) / width;
    const data = type === 'f32' ? this.#heap.f32 : this.#heap.f64;
    data.fill(0, at, at + planes * volume(wide));
    const [depth, height, row] = extents;
    let source = from;
    for (let p = 0; p < planes; p++)
      for (let z = 0; z < depth; z++)
        for (let y = 0; y < height; y++) {
          const to = at + ((p * wide[0] + before[0] + z) * wide[1] + before[1] + y) * wide[2] + before[2];
          copyRow(data, to, source, row);
          source += row;
        }
    return { at, extents: wide, before };
  }

  /** The index of the operand's first element among float32 (for f32) or float64 (for all else, where integers are exact). */
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

/** Small matrices are summed step by step (see matmul.ts), and some depthwise convolutions are left to the loops in depthwise.ts. */
function isSmall(kernel: ProductKernel, dims: readonly number[]): boolean {
  if (kernel.form === 'matmul')
    return (dims[1] as number) * (dims[2] as number) * (dims[3] as number) <= TINY;
  const g = geometryOf(dims);
  return isDepthwise(g) && (kernel.form !== 'conv' || g.i[0] !== 1 || g.o[0] !== 1 || g.k[0] !== 1);
}
