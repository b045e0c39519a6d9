// Products without packing (kernels/thin.ts) and those beside their borders: every element within (K + 4)·u·Σ|a·b| of the sum in double, for both forms of the
// kernels, all transpositions, sizes that are no multiple of anything, strides, batches and biases; what is not finite goes where it belongs, and to no neighbour.
import { describe, expect, test } from 'vitest';
import { e } from '../../../ir/expr.ts';
import { productKernel } from '../../../ir/kernel.ts';
import { CpuDevice } from '../cpuDevice.ts';
import { get, put, randomStream, release, SIMD_FORMS } from '../testReference.ts';

/** Half the distance from 1 to the next float32. */
const U = 2 ** -24;
const relu = e.max(e.input(0), 0);

interface Case {
  readonly batch: number;
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly bias: 'none' | 'm' | 'n';
  readonly rectify: boolean;
  /** Elements between rows beyond a row's own: the matrices are parts of wider ones. */
  readonly gap: number;
}

/** Runs a product among marked elements and compares each result with the sum in double. */
function check(device: CpuDevice, c: Case, value: () => number): void {
  const { batch, M, N, K, transposeA, transposeB, bias, rectify, gap } = c;
  const label = JSON.stringify(c);
  const [aRows, aRow] = transposeA ? [K, M + gap] : [M, K + gap];
  const [bRows, bRow] = transposeB ? [N, K + gap] : [K, N + gap];
  const cRow = N + gap;
  const list = (n: number): number[] => Array.from({ length: n }, value);
  const a = list(batch * aRows * aRow);
  const b = list(batch * bRows * bRow);
  const z = list(bias === 'm' ? M : N);
  const kernel = productKernel('p', 'matmul', {
    transposeA,
    transposeB,
    bias,
    epilogue: rectify ? relu : null,
  });
  const inputs = (bias === 'none' ? [a, b] : [a, b, z]).map((v) => put(device, 'float32', [v.length], v));
  const out = put(device, 'float32', [batch * M * cRow], new Array<number>(batch * M * cRow).fill(7));
  const steps = [aRows * aRow, bRows * bRow] as const;
  // two levels of a batch where it can be halved
  const inner = batch % 2 === 0 ? 2 : 1;
  const layout = [inner, steps[0], steps[1], aRow, bRow, M * cRow * inner, M * cRow, cRow];
  device.run(kernel, inputs, [out], [batch, M, N, K, steps[0] * inner, steps[1] * inner, ...layout], []);
  const results = get(device, out);
  for (let i = 0; i < batch; i++)
    for (let m = 0; m < M; m++) {
      for (let n = 0; n < N; n++) {
        let sum = bias === 'none' ? 0 : (z[bias === 'm' ? m : n] as number);
        let size = Math.abs(sum);
        for (let k = 0; k < K; k++) {
          const x = a[i * steps[0] + (transposeA ? k * aRow + m : m * aRow + k)] as number;
          const y = b[i * steps[1] + (transposeB ? n * bRow + k : k * bRow + n)] as number;
          sum += x * y;
          size += Math.abs(x * y);
        }
        const want = rectify && sum < 0 ? 0 : sum;
        const got = results[(i * M + m) * cRow + n] as number;
        const right = Number.isFinite(size)
          ? Math.abs(got - want) <= (K + 4) * U * size
          : Object.is(got, want);
        if (!right) expect.fail(`(${[i, m, n]}) is ${got} instead of ${want}: ${label}`);
      }
      // what lies between rows is not written
      for (let n = N; n < cRow; n++) if (results[(i * M + m) * cRow + n] !== 7) expect.fail(`${n}: ${label}`);
    }
  release(device, out, ...inputs);
}

const random = randomStream(77);
const one = (most: number): number => 1 + Math.floor(random() * most);
const flag = (): boolean => random() < 0.5;
/** Mostly small, at times as large as `most`. */
const size = (most: number): number => one(random() < 0.6 ? 9 : most);

function randomCase(): Case {
  const [M, N, K] = random() < 0.2 ? [one(3), one(600), one(300)] : [size(70), size(200), size(90)];
  return {
    batch: random() < 0.7 ? 1 : one(4),
    ...{ M, N, K },
    transposeA: flag(),
    transposeB: flag(),
    bias: (['none', 'm', 'n'] as const)[Math.floor(random() * 3)] as 'none',
    rectify: random() < 0.3,
    gap: random() < 0.7 ? 0 : one(5),
  };
}

describe.each(SIMD_FORMS)('products of few rows, steps or columns, SIMD: %s', (simd) => {
  test('random shapes', () => {
    const device = new CpuDevice({ simd });
    for (let round = 0; round < 1200; round++) check(device, randomCase(), () => Math.fround(random() - 0.5));
  });

  test('both sides of every border', () => {
    const device = new CpuDevice({ simd });
    for (const [M, N, K] of [
      [1, 127, 40],
      [1, 129, 41],
      [3, 1027, 7],
      [4, 131, 9],
      [16, 128, 16],
      [17, 129, 17],
      [17, 128, 16],
      [33, 2050, 3],
      [64, 9, 71],
      [65, 10, 71],
      [5, 3, 1500],
      [700, 1, 19],
      [2, 1, 5000],
    ] as const)
      for (const transposeA of [false, true])
        for (const transposeB of [false, true])
          for (const bias of ['none', 'm', 'n'] as const)
            check(
              device,
              { batch: 1, M, N, K, transposeA, transposeB, bias, rectify: bias === 'm', gap: 0 },
              () => Math.fround(random() - 0.5),
            );
  });

  test('NaN and ∞', () => {
    const device = new CpuDevice({ simd });
    const rare = (): number => {
      const x = random();
      return x < 0.003
        ? Number.NaN
        : x < 0.006
          ? Infinity
          : x < 0.009
            ? -Infinity
            : Math.fround(random() - 0.5);
    };
    for (let round = 0; round < 300; round++) check(device, randomCase(), rare);
  });
});
