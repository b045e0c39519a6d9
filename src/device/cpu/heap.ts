// The CPU device's one memory, so that WebAssembly kernels and JavaScript loops see the same bytes without copies, and the compiled kernels on it.
// It knows views and growth; who owns which bytes is the allocator's business.
import { OutOfMemoryError } from '../../core/errors.ts';
import type { Kernels, Simd } from './wasm/load.ts';
import { bestSimd, kernelsOn } from './wasm/load.ts';

/** Bytes of a WebAssembly page. */
const PAGE = 65536;
/** Pages that are tried as the most the memory may grow to: 4, 2 and 1 GiB. Some engines refuse the larger ones. */
const MAXIMA = [65536, 32768, 16384] as const;
/** What the memory begins with: 16 MiB. Pages that nothing has touched cost address space only. */
const INITIAL = 256;

/**
 * Views of the whole memory. `grow` detaches them, so nothing may hold one across an allocation: read `heap.f32` when it is needed.
 * An element's index is its byte offset divided (never shifted: offsets pass 2³¹) by the element's width.
 */
export class Heap {
  #memory: WebAssembly.Memory;
  #kernels: Kernels;
  #maxBytes: number;
  f32!: Float32Array<ArrayBuffer>;
  f64!: Float64Array<ArrayBuffer>;
  i32!: Int32Array<ArrayBuffer>;
  u32!: Uint32Array<ArrayBuffer>;
  i8!: Int8Array<ArrayBuffer>;
  u8!: Uint8Array<ArrayBuffer>;
  u16!: Uint16Array<ArrayBuffer>;

  /** `simd`: a form of the compiled kernels; the best that the machine has where it is not given. */
  constructor(simd: Simd = bestSimd()) {
    const made = makeMemory(INITIAL, false);
    this.#memory = made.memory;
    this.#maxBytes = made.pages * PAGE;
    this.#kernels = kernelsOn(this.memory, simd);
    this.#renew();
  }

  get memory(): WebAssembly.Memory {
    return this.#memory;
  }

  /** The most bytes the memory can have. */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  get kernels(): Kernels {
    return this.#kernels;
  }

  /** Whether the memory can be given to workers. */
  get shared(): boolean {
    return !(this.#memory.buffer instanceof ArrayBuffer);
  }

  /**
   * Moves everything to a new memory, shared or not; offsets stay, views and kernels are new ones. Returns false, with nothing changed, where there is
   * no such memory.
   */
  move(shared: boolean): boolean {
    try {
      const made = makeMemory(this.bytes / PAGE, shared);
      const kernels = kernelsOn(made.memory, this.#kernels.simd);
      new Uint8Array(made.memory.buffer).set(this.u8);
      this.#memory = made.memory;
      this.#maxBytes = made.pages * PAGE;
      this.#kernels = kernels;
      this.#renew();
      return true;
    } catch {
      return false;
    }
  }

  /** Bytes the memory has now. */
  get bytes(): number {
    return this.u8.length;
  }

  /** Makes the memory at least `bytes` large; returns false where the engine refuses. Old views are dead after it. */
  growTo(bytes: number): boolean {
    const have = this.bytes;
    if (bytes <= have) return true;
    if (bytes > this.maxBytes) return false;
    // half as much again (at most 256 MiB more than asked), so that a growing program grows the memory a few times only
    const generous = Math.min(this.maxBytes, Math.max(bytes, Math.min(have * 1.5, bytes + 2 ** 28)));
    return this.#tryGrow(generous) || this.#tryGrow(bytes);
  }

  #tryGrow(bytes: number): boolean {
    try {
      this.memory.grow(Math.ceil(bytes / PAGE) - this.bytes / PAGE);
    } catch {
      return false;
    }
    this.#renew();
    return true;
  }

  #renew(): void {
    const buffer = this.memory.buffer as ArrayBuffer;
    this.f32 = new Float32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i8 = new Int8Array(buffer);
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
  }
}

function makeMemory(initial: number, shared: boolean): { memory: WebAssembly.Memory; pages: number } {
  let cause: unknown;
  for (const pages of MAXIMA) {
    try {
      return { memory: new WebAssembly.Memory({ initial, maximum: pages, shared }), pages };
    } catch (error) {
      cause = error;
    }
  }
  throw new OutOfMemoryError(
    `expected a WebAssembly memory of ${initial / 16} MiB that can grow to 1 GiB, received a refusal. Close other pages and try again.`,
    { op: 'cpu', cause },
  );
}
