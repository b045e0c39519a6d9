// MXNet's random numbers on gpu(0): which Philox words a draw takes. The numbers themselves are made on the GPU, by shaders/philox.wgsl from the parameters
// packed here; philoxReference.ts makes the same ones in TypeScript, for tests.
//
// Read off Apache MXNet 1.9.1 (include/mxnet/random_generator.h, src/common/random_generator.cu, src/operator/random/sampler.h, src/resource.cc) and cuRAND's
// documentation of its Philox4_32_10 device generator. Philox itself: J. Salmon and others, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
import { ArgumentError } from '../errors.ts';
import { checkIntegers, checkNormal, checkRange, checkSeed, dropoutKeep, SEED_STRIDE } from './mxnetCpu.ts';

/** How many generators there are in a copy: MXNet's number of GPU threads for a draw. */
const THREADS = 32768;
/** A draw uses one thread for each 64 values begun, while there are threads. */
const VALUES_EACH = 64;
/** How many sets of generators take turns. */
const COPIES = 4;
/** Keys of neighbouring copies lie this far apart, to leave room for the device's number. */
const COPY_STRIDE = 16;

/** Invocations of a workgroup. */
const WORKGROUP_SIZE = 64;
/** Size of the shader's parameters in 32-bit words: 256 bytes, one slot of a uniform ring. */
const PARAM_WORDS = 64;
const KIND_CODES: Readonly<Record<Draw['kind'], number>> = { uniform: 0, normal: 1, integers: 2, dropout: 3 };
/** Threads whose places differ are told apart in the parameters; so many kinds of them fit one dispatch. */
const SEGMENTS_PER_DISPATCH = 12;
const MAX_WORKGROUPS = 65535;

/** What is drawn. All bounds are rounded to float32, but those of integers. */
export type Draw =
  /** float32: low + (high − low)·u, rounded once; u = 1 − (r·2⁻³² + 2⁻³³) */
  | { readonly kind: 'uniform'; readonly low: number; readonly high: number }
  /** float32: loc + scale·z, rounded once; z by Box and Muller, sine then cosine */
  | { readonly kind: 'normal'; readonly loc: number; readonly scale: number }
  /** int32 in [low, high), two words each */
  | { readonly kind: 'integers'; readonly low: number; readonly high: number }
  /** float32: 1/keep where u ≤ keep (with `shared`: u < keep), else 0; keep = 1 − rate */
  | { readonly kind: 'dropout'; readonly rate: number; readonly shared: boolean };

/** Threads `first` … up to the next segment's first stand at the same place of their sequences. */
export interface Segment {
  readonly first: number;
  /** How many 32-bit words each of them has given out. */
  readonly position: number;
  /** Where the pair of words lies whose cosine is still owed (a draw of an odd number of normals leaves one), or −1. */
  readonly pair: number;
}

/** A draw laid out: value i of the output is made by thread ⌊i / perThread⌋. */
export interface PhiloxPlan {
  readonly draw: Draw;
  /** Values to make. */
  readonly count: number;
  /** Low word of the key; the high word is 0. */
  readonly key: number;
  readonly perThread: number;
  /** Threads that make at least one value. */
  readonly threads: number;
  /** The places of these threads before the draw, ascending. */
  readonly segments: readonly Segment[];
}

/** Where all generators stand: plain data for `restore`. */
export interface GpuRandomState {
  readonly seed: number;
  readonly turn: number;
  readonly copies: readonly (readonly Segment[])[];
}

/** One dispatch of shaders/philox.wgsl. */
export interface PhiloxDispatch {
  /** The uniform `params`: 64 words, laid out as the shader's head comment says. */
  readonly params: Uint32Array<ArrayBuffer>;
  readonly workgroups: readonly [x: number, y: number];
}

const START: readonly Segment[] = [{ first: 0, position: 0, pair: -1 }];

/**
 * The generators of `gpu(0)`: what each draw has to take, and where that leaves them.
 *
 * Four copies take turns, beginning with copy 1. Copy i has the key device + 16·i + 127·seed; its thread t gives subsequence t. A draw of N values uses
 * T = min(⌈N/64⌉, 32768) threads for ⌈N/T⌉ values each, in order. Every thread of every copy keeps its place from draw to draw. All threads that took part
 * in the same draws stand at the same place, so a handful of segments says it all.
 *
 * MXNet shuffles on the GPU by another generator (cuRAND's host API), which is not reproduced; with cuDNN its dropout is cuDNN's.
 *
 * @example
 * const generators = new GpuGenerators(0);
 * const plan = generators.plan({ kind: 'uniform', low: 0, high: 1 }, 6); // 0.6686509 0.17409194 0.3850025 0.24678314 …
 * for (const { params, workgroups } of dispatchesOf(plan)) … // on the GPU
 */
export class GpuGenerators {
  readonly #device: number;
  #seed: number;
  #turn = 0;
  #copies: (readonly Segment[])[] = new Array<readonly Segment[]>(COPIES).fill(START);

  /**
   * @param seed an integer, taken modulo 2³²; MXNet starts with 0
   * @param device the number n of `gpu(n)`
   */
  constructor(seed = 0, device = 0) {
    this.#seed = checkSeed(seed);
    this.#device = device;
  }

  /** Starts every generator anew, with copy 1 next. */
  seed(seed: number): void {
    this.#seed = checkSeed(seed);
    this.#turn = 0;
    this.#copies.fill(START);
  }

  /**
   * Lays out a draw of `count` values and moves the generators past it. A draw of nothing moves nothing.
   * @throws ArgumentError where the bounds allow no value; then nothing has moved
   */
  plan(draw: Draw, count: number): PhiloxPlan {
    checkDraw(draw);
    if (count === 0) return { draw, count, key: 0, perThread: 0, threads: 0, segments: [] };
    this.#turn = (this.#turn + 1) % COPIES;
    const copy = this.#turn;
    const before = this.#copies[copy] ?? START;
    const perThread = Math.ceil(count / Math.min(Math.ceil(count / VALUES_EACH), THREADS));
    const full = Math.floor(count / perThread);
    const rest = count - full * perThread;
    const threads = full + (rest > 0 ? 1 : 0);
    this.#copies[copy] = advance(before, draw.kind, [
      [full, perThread],
      [threads, rest],
      [THREADS, 0],
    ]);
    return {
      draw,
      count,
      key: (this.#device + COPY_STRIDE * copy + Math.imul(SEED_STRIDE, this.#seed)) >>> 0,
      perThread,
      threads,
      segments: before.filter((segment) => segment.first < threads),
    };
  }

  /** Where the generators stand, as data of its own. */
  state(): GpuRandomState {
    return { seed: this.#seed, turn: this.#turn, copies: [...this.#copies] };
  }

  /** Puts the generators where `state()` found them. */
  restore(state: GpuRandomState): void {
    this.#seed = state.seed;
    this.#turn = state.turn;
    this.#copies = [...state.copies];
  }
}

/** The places after threads up to each `[end, values]` have made so many values. */
function advance(
  segments: readonly Segment[],
  kind: Draw['kind'],
  made: readonly (readonly [end: number, values: number])[],
): Segment[] {
  const moved: Segment[] = [];
  for (const [at, { first, position, pair }] of segments.entries()) {
    const end = segments[at + 1]?.first ?? THREADS;
    let from = first;
    for (const [until, values] of made) {
      const upTo = Math.min(end, until);
      if (upTo <= from) continue;
      const place = after(kind, values, position, pair);
      const last = moved.at(-1);
      if (last?.position !== place.position || last.pair !== place.pair)
        moved.push({ first: from, ...place });
      from = upTo;
    }
  }
  return moved;
}

/** The place of one thread after it has made `values` values. */
function after(
  kind: Draw['kind'],
  values: number,
  position: number,
  pair: number,
): { position: number; pair: number } {
  if (values === 0) return { position, pair };
  if (kind !== 'normal') return { position: position + (kind === 'integers' ? 2 : 1) * values, pair };
  const fresh = pair < 0 ? values : values - 1;
  const next = position + 2 * Math.ceil(fresh / 2);
  return { position: next, pair: fresh % 2 === 1 ? next - 2 : -1 };
}

/**
 * The constants that shaders/philox.wgsl needs in its head for such a draw: a shader for each text, of which there are six.
 * @example philoxConstants({ kind: 'normal', loc: 0, scale: 1 }) // const WORKGROUP_SIZE: u32 = 64; const KIND: u32 = 1; const SCALED: bool = false;
 */
export function philoxConstants(draw: Draw): string {
  const scaled =
    draw.kind === 'uniform'
      ? Math.fround(draw.low) !== 0 || Math.fround(draw.high) !== 1
      : draw.kind === 'normal' && (Math.fround(draw.loc) !== 0 || Math.fround(draw.scale) !== 1);
  return `const WORKGROUP_SIZE: u32 = ${WORKGROUP_SIZE}; const KIND: u32 = ${KIND_CODES[draw.kind]}; const SCALED: bool = ${scaled};`;
}

/**
 * The dispatches that make a planned draw: one, unless the threads stand at more than twelve different places.
 * @param outOffset where the output begins in the bound buffer, in 32-bit words
 */
export function dispatchesOf(plan: PhiloxPlan, outOffset = 0): PhiloxDispatch[] {
  const dispatches: PhiloxDispatch[] = [];
  const { draw, segments, threads, perThread } = plan;
  // an invocation makes what four words give: four values, or two integers
  const windows = Math.ceil(perThread / (draw.kind === 'integers' ? 2 : 4));
  for (let at = 0; at < segments.length; at += SEGMENTS_PER_DISPATCH) {
    const group = segments.slice(at, at + SEGMENTS_PER_DISPATCH);
    const first = group[0]?.first ?? 0;
    const end = segments[at + SEGMENTS_PER_DISPATCH]?.first ?? threads;
    const params = new Uint32Array(PARAM_WORDS);
    const floats = new Float32Array(params.buffer);
    const owed = draw.kind === 'normal' && group.some(({ pair }) => pair >= 0) ? 1 : 0;
    params.set([plan.count, perThread, windows + owed, 0, plan.key, 0, first, end]);
    params.set([group.length, outOffset], 8);
    switch (draw.kind) {
      case 'uniform':
        floats[10] = draw.low;
        floats[11] = Math.fround(draw.high) - Math.fround(draw.low);
        break;
      case 'normal':
        floats[10] = draw.loc;
        floats[11] = draw.scale;
        break;
      case 'integers':
        params[10] = draw.low;
        params[11] = draw.high - draw.low;
        break;
      case 'dropout':
        floats.set(dropoutKeep(draw.rate), 10);
        params[12] = draw.shared ? 1 : 0;
        break;
    }
    for (const [i, segment] of group.entries()) {
      const back = segment.pair < 0 ? 0 : segment.position - segment.pair;
      const high = Math.floor(segment.position / 2 ** 32) + 65536 * Math.floor(back / 2 ** 32);
      params.set([segment.first, segment.position % 2 ** 32, high, back % 2 ** 32], 16 + 4 * i);
    }
    const workgroups = Math.ceil(((end - first) * (windows + owed)) / WORKGROUP_SIZE);
    const x = Math.min(workgroups, MAX_WORKGROUPS);
    dispatches.push({ params, workgroups: [x, Math.ceil(workgroups / x)] });
  }
  return dispatches;
}

function checkDraw(draw: Draw): void {
  switch (draw.kind) {
    case 'uniform':
      checkRange('random.uniform', draw.low, draw.high);
      break;
    case 'normal':
      checkNormal('random.normal', draw.loc, draw.scale);
      break;
    case 'integers': {
      const span = checkIntegers('random.randint', draw.low, draw.high);
      if (span > 0xffffffff) {
        throw new ArgumentError(
          'expected fewer than 4294967296 integers to choose from on a GPU, received all of int32. Draw on cpu(0).',
          { op: 'random.randint' },
        );
      }
      break;
    }
    case 'dropout':
      dropoutKeep(draw.rate);
      break;
  }
}
