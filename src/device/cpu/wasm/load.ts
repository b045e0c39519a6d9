// The compiled kernels on a heap's memory. Chosen at load: fused multiply-add where the machine has it (relaxed SIMD), else plain SIMD, else none,
// and then the loops in JavaScript do all the work. Compiled synchronously: a page's content-security policy has to allow `wasm-unsafe-eval`.
import { PRODUCT, PRODUCT_RELAXED, VECTOR } from './binaries.ts';
import type { VectorExports } from './loops.ts';

/** Which form of the kernels: with fused multiply-add, with plain SIMD, or JavaScript alone. */
export type Simd = 'relaxed' | 'plain' | 'none';

/** kernels/product.ts. Addresses and sizes in bytes, counts in elements. */
export interface ProductExports {
  workBytes(): number;
  product(fields: number, m0: number, m1: number, n0: number, n1: number, work: number): void;
  offsets(
    to: number,
    start: number,
    n0: number,
    s0: number,
    n1: number,
    s1: number,
    n2: number,
    s2: number,
    n3: number,
    s3: number,
  ): void;
  surround(
    from: number,
    to: number,
    planes: number,
    depth: number,
    height: number,
    width: number,
    wideDepth: number,
    wideHeight: number,
    wideWidth: number,
    beforeDepth: number,
    beforeHeight: number,
    beforeWidth: number,
  ): void;
  dots(c: number, a: number, b: number, step: number, n0: number, n1: number, depth: number): void;
  combine(
    c: number,
    a: number,
    aStep: number,
    b: number,
    step: number,
    n0: number,
    n1: number,
    depth: number,
  ): void;
  depthwise(
    from: number,
    to: number,
    w: number,
    images: number,
    channels: number,
    perGroup: number,
    plane: number,
    row: number,
    outHeight: number,
    outWidth: number,
    kernelHeight: number,
    kernelWidth: number,
    strideHeight: number,
    strideWidth: number,
    dilateHeight: number,
    dilateWidth: number,
    kind: number,
    bias: number,
    finish: number,
  ): void;
  complete(c: number, n: number, kind: number, bias: number, finish: number): void;
}

type Name = 'relaxed' | 'plain' | 'vector';
const TEXTS: { readonly [K in Name]: string } = {
  relaxed: PRODUCT_RELAXED,
  plain: PRODUCT,
  vector: VECTOR,
};
const modules = new Map<string, WebAssembly.Module | null>();

/** The compiled module for memory of its own or shared with workers, null where this machine does not take it. */
function moduleOf(name: Name, shared = false): WebAssembly.Module | null {
  const key = shared ? `${name} shared` : name;
  let module = modules.get(key);
  if (module === undefined) {
    const text = TEXTS[name];
    const bytes = Uint8Array.from({ length: text.length / 2 }, (_, i) =>
      Number.parseInt(text.slice(2 * i, 2 * i + 2), 16),
    );
    if (shared) markShared(bytes);
    try {
      module = WebAssembly.validate(bytes) ? new WebAssembly.Module(bytes) : null;
    } catch {
      // a policy that forbids compiling
      module = null;
    }
    modules.set(key, module);
  }
  return module;
}

/**
 * Changes the import of a memory into that of a shared one: after the names `env` and `memory` (each with its length) and the kind of import, 2,
 * come the flags of the limits, 1 for "has a maximum" and 3 for "has a maximum and is shared".
 */
function markShared(bytes: Uint8Array): void {
  const names = Uint8Array.from('\x03env\x06memory\x02\x01', (c) => c.charCodeAt(0));
  const at = bytes.findIndex((_, i) => names.every((byte, k) => bytes[i + k] === byte));
  if (at >= 0) bytes[at + names.length - 1] = 3;
}

/** The best form that this machine runs. */
function bestSimd(): Simd {
  if (moduleOf('vector') === null) return 'none';
  return moduleOf('relaxed') !== null ? 'relaxed' : moduleOf('plain') !== null ? 'plain' : 'none';
}

/** The compiled kernels on one memory. */
export interface Kernels {
  readonly simd: Simd;
  readonly product: ProductExports;
  readonly vector: VectorExports;
  /** The product's module, for threads on the same memory. */
  readonly module: WebAssembly.Module;
}

/** The kernels on `memory`; null for `none` and where the machine lacks what the form needs. */
export function kernelsOn(memory: WebAssembly.Memory, simd: Simd = bestSimd()): Kernels | null {
  if (simd === 'none') return null;
  const shared = !(memory.buffer instanceof ArrayBuffer);
  const module = moduleOf(simd, shared);
  const vector = moduleOf('vector', shared);
  if (module === null || vector === null) return null;
  const instance = (of: WebAssembly.Module): unknown =>
    new WebAssembly.Instance(of, { env: { memory } }).exports;
  return {
    simd,
    product: instance(module) as ProductExports,
    vector: instance(vector) as VectorExports,
    module,
  };
}
