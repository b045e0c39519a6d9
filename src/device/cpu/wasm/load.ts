// The compiled kernels on a heap's memory. Chosen at load: fused multiply-add where the machine has it (relaxed SIMD), else plain SIMD; a machine without is
// told so. Compiled synchronously: a page's content-security policy has to allow `wasm-unsafe-eval`.
import { GluonError } from '../../../core/errors.ts';
import type { Job } from '../threads/cells.ts';
import { BINARIES } from './binaries.ts';
import type { VectorExports } from './loops.ts';

/** Which form of the kernels: with fused multiply-add, or with plain SIMD. */
export type Simd = 'relaxed' | 'plain';

/** kernels/product.ts. Addresses and sizes in bytes, counts in elements. */
export interface ProductExports {
  workBytes(): number;
  readonly productTile: Job;
  readonly thinTile: Job;
  readonly stepsTile: Job;
  readonly depthwiseTile: Job;
  readonly depthwiseWeightTile: Job;
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
}

type Part = keyof typeof BINARIES;
const modules = new Map<string, WebAssembly.Module | null>();

/** The compiled module for memory of its own or shared with workers, null where this machine does not take it. */
function moduleOf(part: Part, simd: Simd, shared = false): WebAssembly.Module | null {
  const key = `${part} ${simd} ${shared}`;
  let module = modules.get(key);
  if (module === undefined) {
    // as textOf of scripts/build-wasm.mjs writes them; what is out of a byte's range wraps
    const bytes = Uint8Array.from(BINARIES[part], (char) => {
      const code = char.charCodeAt(0);
      return code - (code < 127 ? 41 : 75);
    });
    const [product, sum] = STEPS[simd];
    rewrite(bytes, PRODUCT, product);
    rewrite(bytes, SUM, sum);
    if (shared) rewrite(bytes, OWN_MEMORY, SHARED_MEMORY);
    // a phone locked down has no WebAssembly at all
    module = typeof WebAssembly === 'object' && WebAssembly.validate(bytes) ? compile(bytes) : null;
    modules.set(key, module);
  }
  return module;
}

/**
 * A step of a sum of products is `f64x2.pmin` and `f64x2.pmax` in the binaries (kernels/madd.ts). What they stand for: `f32x4.mul` and `f32x4.add`, or three times
 * `nop` and `f32x4.relaxed_madd`.
 */
const PRODUCT = [0xfd, 0xf6, 0x01];
const SUM = [0xfd, 0xf7, 0x01];
const STEPS = {
  plain: [
    [0xfd, 0xe6, 0x01],
    [0xfd, 0xe4, 0x01],
  ],
  relaxed: [
    [0x01, 0x01, 0x01],
    [0xfd, 0x85, 0x02],
  ],
} as const;

/** The import of a memory: names, each after its length, the kind of import, then the limits' flags, 1 for "has a maximum" and 3 for "has a maximum and is shared". */
const OWN_MEMORY = [3, ...codes('env'), 6, ...codes('memory'), 2, 1];
const SHARED_MEMORY = OWN_MEMORY.with(-1, 3);

function codes(text: string): number[] {
  return Array.from(text, (char) => char.charCodeAt(0));
}

/** Puts `to` wherever `from` stands. */
function rewrite(bytes: Uint8Array, from: readonly number[], to: readonly number[]): void {
  const [first = 0] = from;
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1))
    if (from.every((byte, k) => bytes[at + k] === byte)) bytes.set(to, at);
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

function needed(part: Part, simd: Simd, shared?: boolean): WebAssembly.Module {
  const module = moduleOf(part, simd, shared);
  if (module !== null) return module;
  throw new GluonError(
    'expected a machine with WebAssembly SIMD, received one without. Use a current Chrome, Edge, Safari or Firefox, or Node from 20 on.',
    { op: 'cpu' },
  );
}

/** The best form that this machine runs. Throws a GluonError where there is none. */
export function bestSimd(): Simd {
  if (moduleOf('vector', 'relaxed') !== null) return 'relaxed';
  needed('vector', 'plain');
  return 'plain';
}

/** The compiled kernels on one memory. */
export interface Kernels {
  readonly simd: Simd;
  readonly product: ProductExports;
  readonly vector: VectorExports;
  /** The modules of both, for threads on the same memory. */
  readonly modules: readonly WebAssembly.Module[];
}

/** The kernels on `memory`. Throws a GluonError where the machine lacks what they need. */
export function kernelsOn(memory: WebAssembly.Memory, simd: Simd): Kernels {
  const shared = !(memory.buffer instanceof ArrayBuffer);
  const modules = [needed('product', simd, shared), needed('vector', simd, shared)];
  const [product, vector] = modules.map((module): unknown => {
    return new WebAssembly.Instance(module, { env: { memory } }).exports;
  });
  return { simd, product: product as ProductExports, vector: vector as VectorExports, modules };
}
