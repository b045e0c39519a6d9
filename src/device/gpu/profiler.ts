// How long each kernel takes on the GPU: a pass of its own for each, with a timestamp at both ends. Only where the adapter has timestamp queries;
// elsewhere the kernels are listed without times. Times are the adapter's own, in nanoseconds (browsers round them to 0.1 ms).
import type { KernelTime } from '../device.ts';
import { COPY_DST, COPY_SRC, MAP_READ, MODE_READ, QUERY_RESOLVE } from './usage.ts';

/** Timestamps of a query set; a batch that has more of them takes several sets. */
const QUERIES = 1024;
const BYTES = 8;

interface Block {
  readonly set: GPUQuerySet;
  readonly labels: string[];
  staging: GPUBuffer | undefined;
  resolved: GPUBuffer | undefined;
}

export class Profiler {
  readonly #device: GPUDevice;
  readonly #timed: boolean;
  /** Blocks whose queries are in the batch being recorded. */
  #open: Block[] = [];
  readonly #timings: Promise<readonly KernelTime[]>[] = [];
  #untimed: KernelTime[] = [];

  /** Whether each kernel needs a pass of its own. */
  get timed(): boolean {
    return this.#timed;
  }

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#timed = device.features.has('timestamp-query');
  }

  /** The timestamps to write for the pass of the next kernel. */
  next(label: string): GPUComputePassTimestampWrites | undefined {
    if (!this.#timed) {
      this.#untimed.push({ label, ns: undefined, at: undefined });
      return undefined;
    }
    let block = this.#open.at(-1);
    if (block === undefined || block.labels.length * 2 === QUERIES) {
      block = {
        set: this.#device.createQuerySet({ type: 'timestamp', count: QUERIES }),
        labels: [],
        staging: undefined,
        resolved: undefined,
      };
      this.#open.push(block);
    }
    const first = block.labels.length * 2;
    block.labels.push(label);
    return { querySet: block.set, beginningOfPassWriteIndex: first, endOfPassWriteIndex: first + 1 };
  }

  /** Records that the batch's timestamps be copied out; no pass is open. */
  resolve(encoder: GPUCommandEncoder): void {
    for (const block of this.#open) {
      const size = block.labels.length * 2 * BYTES;
      block.resolved = this.#device.createBuffer({ size, usage: QUERY_RESOLVE | COPY_SRC });
      block.staging = this.#device.createBuffer({ size, usage: MAP_READ | COPY_DST });
      encoder.resolveQuerySet(block.set, 0, block.labels.length * 2, block.resolved, 0);
      encoder.copyBufferToBuffer(block.resolved, 0, block.staging, 0, size);
    }
  }

  /** The batch has been submitted. */
  submitted(): void {
    const blocks = this.#open;
    this.#open = [];
    for (const block of blocks) this.#timings.push(this.#read(block));
  }

  async #read({ set, labels, staging, resolved }: Block): Promise<readonly KernelTime[]> {
    try {
      if (staging === undefined) return [];
      await staging.mapAsync(MODE_READ);
      const at = new BigUint64Array(staging.getMappedRange());
      return labels.map((label, i) => {
        const [begin = 0n, end = 0n] = at.subarray(2 * i, 2 * i + 2);
        return { label, ns: Number(end - begin), at: Number(begin) / 1e6 };
      });
    } finally {
      staging?.destroy();
      resolved?.destroy();
      set.destroy();
    }
  }

  /** All kernels since the beginning, in their order; everything has been submitted. */
  async finish(): Promise<readonly KernelTime[]> {
    const timings = (await Promise.all(this.#timings)).flat();
    return this.#timed ? timings : this.#untimed;
  }
}
