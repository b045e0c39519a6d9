// Oracles: Random123's known answers for Philox, values on record for MXNet's GPUs, a thread-by-thread simulation of cuRAND's state for the places,
// exact rational arithmetic for rounding, float64 functions for the accuracy of normals. The shader is held against the reference in philox.gpu.test.ts.
import { describe, expect, test } from 'vitest';
import { ArgumentError } from '../errors.ts';
import { type Draw, dispatchesOf, GpuGenerators } from './philox.ts';
import {
  drawReference,
  fastSineCosine,
  fusedMultiplyAdd,
  minusTwoLog,
  philox4x32,
  philoxNormals,
  philoxUniform,
} from './philoxReference.ts';

const UNIFORM: Draw = { kind: 'uniform', low: 0, high: 1 };
const NORMAL: Draw = { kind: 'normal', loc: 0, scale: 1 };
const INTEGERS: Draw = { kind: 'integers', low: 0, high: 1000 };

function draw(generators: GpuGenerators, what: Draw, count: number): number[] {
  return [...drawReference(generators.plan(what, count))];
}

/** Reproducible words for tests of single functions. */
function someWords(count: number): number[] {
  const words: number[] = [];
  for (let i = 0; words.length < count; i++) words.push(...philox4x32([i, 0, 0, 0], [12345, 678]));
  return words;
}

describe('Philox4x32-10: the known answers of Random123', () => {
  test.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ] as const)('counter %j, key %j', (counter, key, expected) => {
    expect(philox4x32(counter, key)).toEqual(expected);
  });
});

describe("MXNet's values", () => {
  test('uniform on gpu(0) at seed 0', () => {
    expect(draw(new GpuGenerators(0), UNIFORM, 6)).toEqual(
      [0.6686509, 0.17409194, 0.3850025, 0.24678314, 0.35134333, 0.8404298].map(Math.fround),
    );
  });

  test('normal on gpu(0) at seed 0', () => {
    expect(draw(new GpuGenerators(0), NORMAL, 2)).toEqual([-1.3204551, 0.68232244].map(Math.fround));
  });

  test('uniform on gpu(1) at seed 0, as the book Dive into Deep Learning prints it', () => {
    const printed = draw(new GpuGenerators(0, 1), UNIFORM, 6);
    expect(printed.slice(0, 5)).toEqual(
      [0.59119, 0.313164, 0.76352036, 0.9731786, 0.35454726].map(Math.fround),
    );
    // this one has nine digits, of which NumPy prints eight
    expect(printed[5]?.toFixed(8)).toBe('0.11677533');
  });
});

describe('keys and turns', () => {
  test('copies 1 2 3 0 take turns; the key is 16·copy + 127·seed modulo 2^32', () => {
    for (const seed of [0, 1, 77, 0xfffffff0, -3]) {
      const generators = new GpuGenerators(seed);
      const keys = [1, 2, 3, 0, 1].map((copy) => Number(BigInt.asUintN(32, BigInt(seed) * 127n)) + 16 * copy);
      expect(keys.map(() => generators.plan(UNIFORM, 10).key)).toEqual(keys.map((key) => key % 2 ** 32));
    }
  });

  test('seed starts everything anew', () => {
    const generators = new GpuGenerators(4);
    for (let i = 0; i < 6; i++) draw(generators, NORMAL, 131);
    generators.seed(0);
    expect(draw(generators, UNIFORM, 2)).toEqual([0.6686509, 0.17409194].map(Math.fround));
  });

  test('a draw of nothing moves nothing', () => {
    const generators = new GpuGenerators(0);
    const plan = generators.plan(UNIFORM, 0);
    expect(drawReference(plan).length).toBe(0);
    expect(dispatchesOf(plan)).toEqual([]);
    expect(draw(generators, UNIFORM, 1)).toEqual([Math.fround(0.6686509)]);
  });

  test('restore brings back places and turn, and later draws do not move a state', () => {
    const generators = new GpuGenerators(9);
    draw(generators, NORMAL, 77);
    const state = generators.state();
    const run = (): number[][] =>
      [UNIFORM, NORMAL, INTEGERS, NORMAL, NORMAL].map((d) => draw(generators, d, 201));
    const first = run();
    expect(run()).not.toEqual(first);
    generators.restore(state);
    expect(run()).toEqual(first);
    const other = new GpuGenerators();
    other.restore(state);
    expect(draw(other, UNIFORM, 201)).toEqual(first[0]);
  });
});

describe('slices and places', () => {
  test('64 values a thread, at most 32768 threads', () => {
    for (const [count, perThread, threads] of [
      [1, 1, 1],
      [64, 64, 1],
      [65, 33, 2],
      [130, 44, 3],
      [64 * 32768, 64, 32768],
      [64 * 32768 + 1, 65, 32264],
      [10_000_000, 306, 32680],
    ] as const) {
      const plan = new GpuGenerators().plan(UNIFORM, count);
      expect([plan.perThread, plan.threads]).toEqual([perThread, threads]);
    }
  });

  // cuRAND's own state, simulated for each thread: a block of four words, the next lane, and the second normal of a pair.
  test('every thread goes on where it stopped, whatever was drawn, normals owed included', () => {
    class State {
      #block = -1;
      #lane = 4;
      #words: readonly number[] = [];
      #extra: number | undefined;
      readonly #key: number;
      readonly #thread: number;
      constructor(key: number, thread: number) {
        this.#key = key;
        this.#thread = thread;
      }
      word(): number {
        if (this.#lane === 4) {
          this.#block += 1;
          this.#lane = 0;
          this.#words = philox4x32([this.#block, 0, this.#thread, 0], [this.#key, 0]);
        }
        this.#lane += 1;
        return this.#words[this.#lane - 1] ?? 0;
      }
      value(kind: Draw['kind']): number {
        if (kind === 'uniform') return philoxUniform(this.word());
        if (kind === 'integers') {
          const bit = (this.word() & 1) * 2 ** 31;
          return (bit + this.word()) % 1000;
        }
        if (this.#extra !== undefined) {
          const extra = this.#extra;
          this.#extra = undefined;
          return extra;
        }
        const first = this.word();
        const [sine, cosine] = philoxNormals(first, this.word());
        this.#extra = cosine;
        return sine;
      }
    }
    const generators = new GpuGenerators(3);
    const states = new Map<string, State>();
    const kinds = [UNIFORM, NORMAL, INTEGERS, NORMAL, UNIFORM, NORMAL];
    for (const [round, count] of [5, 64, 1, 200, 65, 3, 129, 1000, 63, 700, 2, 66, 321, 128, 7].entries()) {
      for (let turn = 0; turn < 4; turn++) {
        const what = kinds[(round + turn) % kinds.length] ?? UNIFORM;
        const plan = generators.plan(what, count);
        const expected = Array.from({ length: count }, (_, i) => {
          const thread = Math.floor(i / plan.perThread);
          const name = `${plan.key} ${thread}`;
          const state = states.get(name) ?? new State(plan.key, thread);
          states.set(name, state);
          return state.value(what.kind);
        });
        expect([...drawReference(plan)]).toEqual(expected);
      }
    }
  });

  test('equal draws keep the number of places small', () => {
    const generators = new GpuGenerators();
    for (let i = 0; i < 400; i++) generators.plan(UNIFORM, 100_001);
    const plan = generators.plan(UNIFORM, 2_000_000);
    expect(plan.segments.map(({ first, position }) => [first, position])).toEqual([
      [0, 6400],
      [1562, 3300],
      [1563, 0],
    ]);
    expect(dispatchesOf(plan).length).toBe(1);
  });
});

describe('dispatches', () => {
  test('say what the shader needs', () => {
    const generators = new GpuGenerators();
    generators.restore({
      seed: 0,
      turn: 0,
      copies: new Array(4).fill([
        { first: 0, position: 2 ** 33 + 5, pair: 2 ** 32 },
        { first: 2, position: 6, pair: -1 },
      ]),
    });
    const [only, ...more] = dispatchesOf(generators.plan({ kind: 'normal', loc: 2, scale: 0.5 }, 200), 11);
    expect(more).toEqual([]);
    expect(only?.workgroups).toEqual([1, 1]);
    const bits = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0;
    expect([...(only?.params.slice(0, 24) ?? [])]).toEqual([
      ...[200, 50, 14, 0, 16, 0, 0, 4],
      ...[2, 11, bits(2), bits(0.5), 0, 0, 0, 0],
      ...[0, 5, 2 + 65536, 5],
      ...[2, 6, 0, 0],
    ]);
  });

  test('large draws spread over two dimensions', () => {
    const plan = new GpuGenerators().plan(UNIFORM, 2 ** 25);
    expect(dispatchesOf(plan).map(({ workgroups }) => workgroups)).toEqual([[65535, 3]]);
  });
});

describe('formulas', () => {
  test('a·b + c is rounded once', () => {
    // exact sums as integers over 2^200
    const exact = (value: number): bigint => BigInt(value * 2 ** 100);
    const words = someWords(3000);
    const floats = words.map((word, i) => Math.fround(((word - 2 ** 31) / 2 ** 31) * 2 ** ((i % 37) - 30)));
    let differs = 0;
    for (let i = 0; i + 2 < floats.length; i++) {
      const [a, b, c] = [floats[i] ?? 0, floats[i + 1] ?? 0, floats[i + 2] ?? 0];
      const result = fusedMultiplyAdd(a, b, c);
      const truth = exact(a) * exact(b) + (exact(c) << 100n);
      const distance = (value: number): bigint => {
        const d = (exact(value) << 100n) - truth;
        return d < 0n ? -d : d;
      };
      const step = 2 ** (Math.floor(Math.log2(Math.abs(result))) - 23);
      expect(distance(result) <= distance(result + step)).toBe(true);
      expect(distance(result) <= distance(result - step)).toBe(true);
      if (result !== Math.fround(Math.fround(a * b) + c)) differs += 1;
    }
    expect(differs).toBeGreaterThan(100);
    // where rounding to float64 first makes a tie of what is none: 2^-24·(1 - 2^-46) is added and taken away
    const [a, b, c] = [1 + 2 ** -23, 2 ** -24 - 2 ** -47, 1 + 2 ** -23];
    expect(Math.fround(a * b + c)).toBe(1 + 2 ** -22);
    expect(fusedMultiplyAdd(a, b, c)).toBe(1 + 2 ** -23);
    expect(Math.fround(-a * b + c)).toBe(1);
    expect(fusedMultiplyAdd(-a, b, c)).toBe(1 + 2 ** -23);
  });

  test('uniform: ends and middles', () => {
    expect(philoxUniform(0)).toBe(1);
    expect(philoxUniform(0xffffffff)).toBe(0);
    expect(philoxUniform(0x80000000)).toBe(0.5);
    expect(philoxUniform(0x7fffffff)).toBe(0.5);
    expect(philoxUniform(0xff)).toBe(1 - 2 ** -24);
  });

  test('sine and cosine err as NVIDIA says of __sinf and __cosf: 2^-21.41 and 2^-21.19 up to half a turn', () => {
    let worstSine = 0;
    let worstCosine = 0;
    let worst = 0;
    for (const word of someWords(20_000)) {
      const angle = Math.fround((word + 1) * ((2 * Math.PI) / 2 ** 32));
      const [sine, cosine] = fastSineCosine(angle);
      const [offSine, offCosine] = [Math.abs(sine - Math.sin(angle)), Math.abs(cosine - Math.cos(angle))];
      worst = Math.max(worst, offSine, offCosine);
      if (angle > Math.PI) continue;
      worstSine = Math.max(worstSine, offSine);
      worstCosine = Math.max(worstCosine, offCosine);
    }
    expect(worstSine).toBeLessThan(2 ** -21.19);
    expect(worstCosine).toBeLessThan(2 ** -21.19);
    expect(worst).toBeLessThan(2 ** -20.4);
  });

  test('quarter turns are exact', () => {
    const turn = 2 * Math.PI;
    expect(fastSineCosine(Math.fround(turn / 4))[0]).toBe(1);
    expect(Math.abs(fastSineCosine(Math.fround(turn / 2))[1])).toBe(1);
    expect(fastSineCosine(2 ** -31)).toEqual([0, 1]);
  });

  test('-2 ln u is the nearest float32 but for one in two thousand', () => {
    let other = 0;
    const words = someWords(20_000);
    for (const [i, word] of words.entries()) {
      const u = Math.fround(Math.fround(word >>> (i % 32)) * 2 ** -32 + 2 ** -33);
      const truth = -2 * Math.log(u);
      const result = minusTwoLog(u);
      if (result !== Math.fround(truth)) other += 1;
      expect(Math.abs(result - truth)).toBeLessThanOrEqual(0.51 * 2 ** (Math.floor(Math.log2(truth)) - 23));
    }
    expect(other).toBeLessThan(10);
    expect(minusTwoLog(1)).toBe(0);
    expect(minusTwoLog(2 ** -33)).toBe(Math.fround(66 * Math.LN2));
    expect(minusTwoLog(1 - 2 ** -24)).toBe(2 ** -23);
  });

  test('normals lie within 4e-6 of exact ones', () => {
    const words = someWords(20_000);
    for (let i = 0; i < words.length; i += 2) {
      const [first, second] = [words[i] ?? 0, words[i + 1] ?? 0];
      const radius = Math.sqrt(-2 * Math.log((first + 0.5) / 2 ** 32));
      const angle = ((second + 0.5) / 2 ** 32) * 2 * Math.PI;
      const [sine, cosine] = philoxNormals(first, second);
      expect(Math.abs(sine - radius * Math.sin(angle))).toBeLessThan(4e-6);
      expect(Math.abs(cosine - radius * Math.cos(angle))).toBeLessThan(4e-6);
    }
  });

  test('dropout keeps where u <= keep', () => {
    const u = draw(new GpuGenerators(2), UNIFORM, 300);
    const mask = draw(new GpuGenerators(2), { kind: 'dropout', rate: 0.3, shared: false }, 300);
    const keep = Math.fround(1 - Math.fround(0.3));
    expect(mask).toEqual(u.map((value) => (value <= keep ? Math.fround(1 / keep) : 0)));
  });
});

describe('bad input is refused and moves nothing', () => {
  const cases: readonly (readonly [string, Draw])[] = [
    ['bounds in the wrong order', { kind: 'uniform', low: 1, high: 0 }],
    ['a bound that is NaN', { kind: 'uniform', low: 0, high: Number.NaN }],
    ['scale 0', { kind: 'normal', loc: 0, scale: 0 }],
    ['an empty range', { kind: 'integers', low: 5, high: 5 }],
    ['fractions', { kind: 'integers', low: 0.5, high: 5 }],
    ['all of int32', { kind: 'integers', low: -(2 ** 31), high: 2 ** 31 }],
    ['a rate of 1', { kind: 'dropout', rate: 1, shared: false }],
  ];
  test.each(cases)('%s', (_name, bad) => {
    const generators = new GpuGenerators();
    expect(() => generators.plan(bad, 10)).toThrow(ArgumentError);
    expect(() => generators.seed(1.5)).toThrow(ArgumentError);
    expect(draw(generators, UNIFORM, 1)).toEqual([Math.fround(0.6686509)]);
  });
});
