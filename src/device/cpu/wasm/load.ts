// The compiled kernels on a heap's memory. Chosen at load: fused multiply-add where the machine has it (relaxed SIMD), else plain SIMD; a machine without is
// told so. Compiled synchronously: a page's content-security policy has to allow `wasm-unsafe-eval`.
import { GluonError } from '../../../core/errors.ts';
import { BINARIES, PLAIN } from './binaries.ts';
import type { VectorExports } from './loops.ts';

/** Which form of the kernels: with fused multiply-add, or with plain SIMD. */
export type Simd = 'relaxed' | 'plain';

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
  steps(
    c: number,
    cRow: number,
    a: number,
    aRow: number,
    aDepth: number,
    b: number,
    bDepth: number,
    bColumn: number,
    rows: number,
    columns: number,
    depth: number,
  ): void;
  complete(c: number, n: number, kind: number, bias: number, finish: number): void;
}

type Name = Simd | 'vector';
const modules = new Map<string, WebAssembly.Module | null>();

/** The compiled module for memory of its own or shared with workers, null where this machine does not take it. */
function moduleOf(name: Name, shared = false): WebAssembly.Module | null {
  const key = shared ? `${name} shared` : name;
  let module = modules.get(key);
  if (module === undefined) {
    const text = name === 'plain' ? withoutFusion(BINARIES.relaxed) : BINARIES[name];
    // as textOf of scripts/build-wasm.mjs writes them
    const bytes = Uint8Array.from(text, (char) => {
      const code = char.charCodeAt(0);
      return code - (code < 127 ? 32 : 66);
    });
    if (shared) markShared(bytes);
    // a phone locked down has no WebAssembly at all
    module = typeof WebAssembly === 'object' && WebAssembly.validate(bytes) ? compile(bytes) : null;
    modules.set(key, module);
  }
  return module;
}

function withoutFusion(text: string): string {
  let at = 0;
  const parts = PLAIN.map(([keep, drop, put]) => {
    const part = text.slice(at, at + keep) + put;
    at += keep + drop;
    return part;
  });
  return parts.join('') + text.slice(at);
}

function compile(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes);
  } catch (cause) {
    throw new GluonError(
      `expected to be allowed to compile WebAssembly, received ${String(cause)}. Add 'wasm-unsafe-eval' to script-src of the page's Content-Security-Policy.`,
      { op: 'cpu', cause },
    );
  }
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

function needed(name: Name, shared?: boolean): WebAssembly.Module {
  const module = moduleOf(name, shared);
  if (module !== null) return module;
  throw new GluonError(
    'expected a machine with WebAssembly SIMD, received one without. Use a current Chrome, Edge, Safari or Firefox, or Node from 20 on.',
    { op: 'cpu' },
  );
}

/** The best form that this machine runs. Throws a GluonError where there is none. */
export function bestSimd(): Simd {
  needed('vector');
  return moduleOf('relaxed') === null ? 'plain' : 'relaxed';
}

/** The compiled kernels on one memory. */
export interface Kernels {
  readonly simd: Simd;
  readonly product: ProductExports;
  readonly vector: VectorExports;
  /** The product's module, for threads on the same memory. */
  readonly module: WebAssembly.Module;
}

/** The kernels on `memory`. Throws a GluonError where the machine lacks what they need. */
export function kernelsOn(memory: WebAssembly.Memory, simd: Simd): Kernels {
  const shared = !(memory.buffer instanceof ArrayBuffer);
  const module = needed(simd, shared);
  const instance = (of: WebAssembly.Module): unknown =>
    new WebAssembly.Instance(of, { env: { memory } }).exports;
  return {
    simd,
    product: instance(module) as ProductExports,
    vector: instance(needed('vector', shared)) as VectorExports,
    module,
  };
}
