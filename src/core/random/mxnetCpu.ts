// MXNet's random numbers on cpu(0), digit for digit: 1024 Mersenne Twisters, how a draw is dealt out among them, and how bits become
// uniform, normal and integer values. Pure code over typed arrays; contexts, shapes and dtypes are the callers'.
//
// Read off Apache MXNet 1.9.1 (include/mxnet/random_generator.h, src/operator/random/sampler.h, src/resource.cc, src/operator/random/shuffle_op.cc,
// src/operator/nn/dropout-inl.h) and libstdc++'s <random> before GCC 11, with which its wheels were built. All float32 steps are rounded one by one.
import { ArgumentError } from '../errors.ts';
import { logFloat32 } from './logf.ts';
import { Mt19937 } from './mt19937.ts';

/** How many generators there are. */
const GENERATORS = 1024;
/** A draw uses one generator for each 64 values begun, while there are generators. */
const VALUES_EACH = 64;
/** Seeds of neighbouring `random.seed(s)` lie this far apart. */
export const SEED_STRIDE = 127;

const f = Math.fround;
const BELOW_ONE_32 = 1 - 2 ** -24;
const BELOW_ONE_64 = 1 - 2 ** -53;
const TWO_32 = 2 ** 32;
const scratch = new Uint32Array(1024);

/**
 * The generators of `cpu(0)`.
 *
 * Generator t is seeded with (127·seed + t) mod 2³². A draw of N values takes T = min(⌈N/64⌉, 1024) generators, each the next ⌈N/T⌉ values: slice t of
 * the output comes from generator t, in order. Every generator keeps its place from draw to draw. One is seeded when it is first used (2.5 KB each).
 *
 * @example
 * const generators = new CpuGenerators(0);
 * const out = new Float32Array(6);
 * generators.uniform(out, -1, 1); // 0.09762704 0.18568921 0.43037868 0.68853152 0.20552671 0.71589124
 */
export class CpuGenerators {
  #seed: number;
  readonly #generators = new Map<number, Mt19937>();
  #shuffler: Mt19937 | undefined;

  /** @param seed an integer, taken modulo 2³²; MXNet starts with 0 */
  constructor(seed = 0) {
    this.#seed = checkSeed(seed);
  }

  /** Starts every generator anew, the shuffling one too. */
  seed(seed: number): void {
    this.#seed = checkSeed(seed);
    this.#generators.clear();
    this.#shuffler = undefined;
  }

  /**
   * Fills `out` with low + (high − low)·u, u uniform in [0, 1).
   *
   * float32: u = f32(r)/2³² from one word r, kept below 1. float64: u = (r₁ + r₂·2³²)/2⁶⁴ from two words, `low` and `high − low` still rounded to float32.
   * (MXNet's float16 is the float64 draw, rounded to float32 and then to float16.)
   * @throws ArgumentError unless low ≤ high, both finite
   */
  uniform(out: Float32Array | Float64Array, low: number, high: number): void {
    checkRange('random.uniform', low, high);
    const from = f(low);
    const width = f(f(high) - from);
    this.#deal(out.length, (generator, start, end) => {
      if (out instanceof Float32Array) fillUniform32(generator, out, start, end, from, width);
      else for (let i = start; i < end; i++) out[i] = from + width * unit64(generator);
    });
  }

  /**
   * Fills `out` with loc + scale·z, z standard normal, by the polar method: x = 2u₁ − 1, y = 2u₂ − 1 until 0 < x² + y² ≤ 1; z = y·√(−2 ln r²/r²).
   * The twin x·√… is thrown away, as MXNet does. In float32 or float64 as `out` is; `loc` and `scale` are rounded to float32.
   * @throws ArgumentError unless scale > 0 and both are finite
   */
  normal(out: Float32Array | Float64Array, loc: number, scale: number): void {
    checkNormal('random.normal', loc, scale);
    const mean = f(loc);
    const deviation = f(scale);
    this.#deal(out.length, (generator, start, end) => {
      if (out instanceof Float32Array) {
        for (let i = start; i < end; i++) out[i] = f(normal32(generator) * deviation) + mean;
      } else {
        for (let i = start; i < end; i++) out[i] = normal64(generator) * deviation + mean;
      }
    });
  }

  /**
   * Fills `out` with integers in [low, high): low + (r₁·2³¹ + r₂) mod (high − low), two words each.
   * (MXNet's sum overflows once in 2³³ draws and the value then falls below `low`; here it stays inside.)
   * @throws ArgumentError unless low < high, both integers of at most 2³¹ in size
   */
  integers(out: Int32Array, low: number, high: number): void {
    const count = checkIntegers('random.randint', low, high);
    this.#deal(out.length, (generator, start, end) => {
      for (let i = start; i < end; i++) {
        // r₁·2³¹ has 63 bits: multiplied in two steps, so that every product stays below 2⁵³
        let rest = generator.next() % count;
        rest = (rest * 65536) % count;
        rest = (rest * 32768) % count;
        out[i] = low + ((rest + generator.next()) % count);
      }
    });
  }

  /**
   * The order in which `random.shuffle` puts `count` rows: row i of the result is row `order[i]` of the input. It has a generator of its own, seeded 127·seed.
   *
   * `vector: false`, arrays of two axes or more: Fisher and Yates from the last row down, exactly as MXNet. `vector: true`, arrays of one axis: GNU's random_shuffle
   * from the second element up, which is what MXNet does below 1000 elements; from there on its result depends on its number of threads, and this is
   * the one of a single thread (to 131 071 elements; above, its threads' bins are not reproduced).
   */
  shuffle(count: number, vector = false): Uint32Array<ArrayBuffer> {
    this.#shuffler ??= new Mt19937(Math.imul(SEED_STRIDE, this.#seed));
    const shuffler = this.#shuffler;
    const order = new Uint32Array(count);
    for (let i = 0; i < count; i++) order[i] = i;
    for (let step = 1; step < count; step++) {
      const i = vector ? step : count - step;
      const j = below(shuffler, i + 1);
      const held = order[i] ?? 0;
      order[i] = order[j] ?? 0;
      order[j] = held;
    }
    return order;
  }

  /** Calls `fill` for each slice of `count` values with the generator that it belongs to. */
  #deal(count: number, fill: (generator: Mt19937, start: number, end: number) => void): void {
    if (count === 0) return;
    const used = Math.min(Math.ceil(count / VALUES_EACH), GENERATORS);
    const each = Math.ceil(count / used);
    for (let t = 0; t * each < count; t++) {
      let generator = this.#generators.get(t);
      if (generator === undefined) {
        generator = new Mt19937(Math.imul(SEED_STRIDE, this.#seed) + t);
        this.#generators.set(t, generator);
      }
      fill(generator, t * each, Math.min((t + 1) * each, count));
    }
  }
}

function fillUniform32(
  generator: Mt19937,
  out: Float32Array,
  start: number,
  end: number,
  low: number,
  width: number,
): void {
  for (let at = start; at < end; at += scratch.length) {
    const count = Math.min(scratch.length, end - at);
    generator.take(scratch, count);
    for (let i = 0; i < count; i++) {
      const u = Math.min(f(f(scratch[i] ?? 0) / TWO_32), BELOW_ONE_32);
      out[at + i] = low + f(width * u);
    }
  }
}

/** std::generate_canonical<float, 24> of a 32-bit engine. */
function unit32(generator: Mt19937): number {
  return Math.min(f(f(generator.next()) / TWO_32), BELOW_ONE_32);
}

/** std::generate_canonical<double, 53> of a 32-bit engine: the first word is the low one. */
function unit64(generator: Mt19937): number {
  const low = generator.next();
  return Math.min((low + generator.next() * TWO_32) / (TWO_32 * TWO_32), BELOW_ONE_64);
}

function normal32(generator: Mt19937): number {
  for (;;) {
    const x = f(2 * unit32(generator) - 1);
    const y = f(2 * unit32(generator) - 1);
    const square = f(f(x * x) + f(y * y));
    if (square > 1 || square === 0) continue;
    return f(y * f(Math.sqrt(f(f(-2 * logFloat32(square)) / square))));
  }
}

function normal64(generator: Mt19937): number {
  for (;;) {
    const x = 2 * unit64(generator) - 1;
    const y = 2 * unit64(generator) - 1;
    const square = x * x + y * y;
    if (square > 1 || square === 0) continue;
    return y * Math.sqrt((-2 * Math.log(square)) / square);
  }
}

/** std::uniform_int_distribution over [0, count) as libstdc++ had it before GCC 11: words beyond the last whole multiple are refused. */
function below(generator: Mt19937, count: number): number {
  const scale = Math.floor((TWO_32 - 1) / count);
  const past = count * scale;
  let word = generator.next();
  while (word >= past) word = generator.next();
  return Math.floor(word / scale);
}

/** An integer modulo 2³², or an error. */
export function checkSeed(seed: number): number {
  if (Number.isSafeInteger(seed)) return seed >>> 0;
  throw new ArgumentError(`expected an integer seed, received ${String(seed)}. Pass a whole number.`, {
    op: 'random.seed',
  });
}

/** Refuses bounds between which nothing can be drawn. */
export function checkRange(op: string, low: number, high: number): void {
  if (Number.isFinite(low) && Number.isFinite(high) && low <= high) return;
  throw new ArgumentError(
    `expected finite bounds with low <= high, received low ${low}, high ${high}. Pass the smaller bound first.`,
    { op },
  );
}

/** Refuses what is no mean and deviation. */
export function checkNormal(op: string, loc: number, scale: number): void {
  if (Number.isFinite(loc) && Number.isFinite(scale) && scale > 0) return;
  throw new ArgumentError(
    `expected a finite loc and a scale above 0, received loc ${loc}, scale ${scale}. Pass a positive standard deviation.`,
    { op },
  );
}

/** How many integers lie in [low, high); refuses bounds that int32 values cannot fill. */
export function checkIntegers(op: string, low: number, high: number): number {
  if (Number.isInteger(low) && Number.isInteger(high) && low < high && low >= -(2 ** 31) && high <= 2 ** 31) {
    return high - low;
  }
  throw new ArgumentError(
    `expected integers with -2147483648 <= low < high <= 2147483648, received low ${low}, high ${high}. The upper bound itself is never drawn.`,
    { op },
  );
}

/** Dropout's threshold and the value of a kept element, both float32. */
export function dropoutKeep(rate: number): readonly [keep: number, value: number] {
  const keep = f(1 - f(rate));
  if (!(rate >= 0 && keep > 0)) {
    throw new ArgumentError(
      `expected a rate in [0, 1), received ${rate}. Pass the fraction of the elements to drop.`,
      { op: 'Dropout' },
    );
  }
  return [keep, f(1 / keep)];
}
