// Depthwise convolutions over two axes and their gradients in float32 (kernels/depthwise.ts), planes and channels shared among threads.
import type { Heap } from '../heap.ts';
import type { Temporaries } from '../temporaries.ts';
import type { Threads } from '../threads/threads.ts';
import type { ConvCall, Finish } from './calls.ts';
import type { Triple } from './geometry.ts';
import { isDepthwise, volume } from './geometry.ts';

/** A plane's copy is made in parts of about so many bytes, which stay in the first-level cache. */
const PART_BYTES = 2 ** 15;
/** Nanoseconds of one thread for a multiplication, and for an element that is copied. */
const MULTIPLICATION = 0.05;
const ELEMENT = 0.1;
const ONES: Triple = [1, 1, 1];

export class Depthwise {
  readonly #heap: Heap;
  readonly #temporaries: Temporaries;
  readonly #threads: Threads;

  constructor(heap: Heap, temporaries: Temporaries, threads: Threads) {
    this.#heap = heap;
    this.#temporaries = temporaries;
    this.#threads = threads;
  }

  /** Does the call, whose places are in bytes; false where it is for others. */
  run({ form, g }: ConvCall, a: number, b: number, c: number, { kind, bias, relu }: Finish): boolean {
    const { N, C, O, k, d } = g;
    if (form === 'matmul' || !isDepthwise(g) || g.i[0] * g.o[0] * k[0] !== 1) return false;
    const data = form === 'convGradData';
    const weights = form === 'convGradWeight';
    if ((data && O !== C) || (weights && (relu || kind !== 'none'))) return false;
    // the data's gradient is a convolution of stride 1 of what stands above, spread by the stride
    const [from, to] = data ? [g.o, g.i] : [g.i, g.o];
    const [stride, spread] = data ? [ONES, g.s] : [g.s, ONES];
    const reach = k.map((n, axis) => (n - 1) * (d[axis] as number)) as unknown as Triple;
    const pad = data ? reach.map((n, axis) => n - (g.p[axis] as number)) : g.p;
    // rows of the result that are computed from one copy, and the memory they take at most: tables and sums, then the copy
    const run = (to[2] + reach[2] + 4) * 4 * stride[2];
    const fixed = 256 + (8 + (16 * O) / C) * k[1] * (k[2] + 2) + run * (reach[1] + 1);
    const most = Math.floor((PART_BYTES - fixed) / (run * stride[1]));
    const rows = most >= to[1] ? to[1] : Math.max(4, most & ~3);
    const bytes = fixed + rows * run * stride[1];
    const threads = this.#threads;
    // what does not fit into a thread's memory is done alone
    const fits = bytes <= threads.workBytes;
    const work = fits ? threads.work : this.#temporaries.take(bytes);
    const bands = Math.ceil(to[1] / rows);
    const parts = weights ? C : N * C * bands;
    const cost = N * (O * volume(k) * volume(to) * MULTIPLICATION + C * volume(g.i) * ELEMENT);
    const tiles = fits ? threads.tiles(cost, Math.min(parts, 0xffff)) : 1;
    const each = Math.ceil(parts / tiles);
    const places = weights ? [b, a, c] : [a, b, c];
    const flat = [from, to, k, stride, d, pad, spread].flatMap(([, y, x]) => [y, x]) as number[];
    const list = [...places, kind === 'none' ? 0 : bias, relu ? 1 : 0, N, C, O / C, ...flat];
    list.push(data ? 1 : 0, bands, rows, each, parts);
    const fields = this.#temporaries.take(list.length * 4);
    this.#heap.u32.set(list, fields / 4);
    const job = weights ? 'depthwiseWeightTile' : 'depthwiseTile';
    threads.run(job, fields, Math.ceil(parts / each), () => {
      const { product } = this.#heap.kernels;
      for (let tile = 0; tile * each < parts; tile++) product[job](fields, tile, work);
    });
    return true;
  }
}
