// Elementwise kernels on Dawn: constants, integers, conversions, and how inputs lie to the output.
import { describe, expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { fromHalf, toHalf } from '../../core/dtype.ts';
import type { BinaryName, Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import type { ElementwiseKernel } from '../../ir/kernel.ts';
import { elementwiseKernel } from '../../ir/kernel.ts';
import { array, run, testDevice, values } from './testDevice.ts';

const device = await testDevice();
const f = Math.fround;

/** Runs one expression over lists of numbers. */
async function compute(
  expr: Expr,
  inputs: readonly (readonly number[])[],
  dtype: DType = 'float32',
  out: DType = dtype,
  scalars: number[] = [],
): Promise<number[]> {
  const kernel = elementwiseKernel('test', inputs.length, expr);
  const shape = [inputs[0]?.length ?? 0];
  const y = run(
    device,
    kernel,
    inputs.map((x) => array(device, shape, dtype, x)),
    shape,
    out,
    [],
    scalars,
  );
  return values(device, y);
}

describe('constants and scalars', () => {
  test('infinity, NaN and −0 as constants', async () => {
    expect(await compute(e.select(e.gt(e.input(0), 0), Infinity, -Infinity), [[1, -1]])).toEqual([
      Infinity,
      -Infinity,
    ]);
    expect(await compute(e.select(e.gt(e.input(0), 0), NaN, 3), [[1, -1]])).toEqual([NaN, 3]);
    expect(await compute(e.div(1, e.mul(e.constant(-0), e.input(0))), [[1]])).toEqual([-Infinity]);
    expect(await compute(e.add(e.input(0), 0.1), [[0]])).toEqual([f(0.1)]);
    expect(await compute(e.add(e.input(0), 1e-7), [[0]])).toEqual([f(1e-7)]);
    expect(await compute(e.add(e.input(0), -3.4028234663852886e38), [[0]])).toEqual([-3.4028234663852886e38]);
  });

  test('select takes NaN for true', async () => {
    expect(await compute(e.select(e.input(0), 1, 2), [[NaN, 0, -0, 5]])).toEqual([1, 2, 2, 1]);
  });

  test('scalars travel with the call', async () => {
    const expr = e.add(e.mul(e.input(0), e.scalar(0)), e.scalar(1));
    expect(await compute(expr, [[1, 2, 3]], 'float32', 'float32', [2, 0.5])).toEqual([2.5, 4.5, 6.5]);
    expect(await compute(expr, [[1, 2, 3]], 'float32', 'float32', [Infinity, 0])).toEqual([
      Infinity,
      Infinity,
      Infinity,
    ]);
    expect(await compute(expr, [[1, -2, 3]], 'int32', 'int32', [-4, 1])).toEqual([-3, 9, -11]);
  });

  test('index, without inputs', async () => {
    const kernel = elementwiseKernel('arange', 0, e.add(e.mul(e.index, e.scalar(0)), e.scalar(1)));
    expect(await values(device, run(device, kernel, [], [6], 'float32', [], [0.5, 1]))).toEqual([
      1, 1.5, 2, 2.5, 3, 3.5,
    ]);
    expect(await values(device, run(device, kernel, [], [2, 3], 'uint8', [], [3, 250]))).toEqual([
      250, 253, 0, 3, 6, 9,
    ]);
  });

  test('common parts are computed once and a shared expression is not unfolded', async () => {
    let x: Expr = e.input(0);
    for (let i = 0; i < 40; i++) x = e.mul(e.add(x, x), 0.5);
    // A key made by `exprKey` would unfold it.
    const kernel: ElementwiseKernel = {
      kind: 'elementwise',
      others: [],
      key: 'shared',
      name: 'shared',
      expr: x,
      inputs: 1,
      computeFrom: 0,
    };
    expect(
      await values(device, run(device, kernel, [array(device, [1], 'float32', [3])], [1], 'float32')),
    ).toEqual([3]);
  });
});

describe('integers', () => {
  const some = [0, 1, -1, 2, 3, -3, 7, 100, -2147483648, 2147483647];
  const a = some.flatMap((x) => some.map(() => x));
  const b = some.flatMap(() => some);
  const mod = (x: number, y: number): number => (y === 0 ? 0 : (((x % y) + y) % y) | 0);
  const cases: [BinaryName, (x: number, y: number) => number][] = [
    ['add', (x, y) => (x + y) | 0],
    ['sub', (x, y) => (x - y) | 0],
    ['mul', (x, y) => Math.imul(x, y)],
    ['div', (x, y) => (y === 0 ? 0 : (x / y) | 0)],
    ['mod', mod],
    ['fmod', (x, y) => (y === 0 ? 0 : (x % y) | 0)],
    ['max', (x, y) => Math.max(x, y)],
    ['min', (x, y) => Math.min(x, y)],
    ['lt', (x, y) => Number(x < y)],
    ['ne', (x, y) => Number(x !== y)],
    ['xor', (x, y) => Number((x !== 0) !== (y !== 0))],
  ];
  test.each(cases)('int32 %s', async (name, reference) => {
    expect(await compute(e[name](e.input(0), e.input(1)), [a, b], 'int32')).toEqual(
      a.map((x, i) => reference(x, b[i] as number)),
    );
  });

  test('uint32', async () => {
    const x = [0, 1, 5, 4294967295, 4294967295, 7];
    const y = [1, 2, 3, 2, 4294967295, 0];
    expect(await compute(e.sub(e.input(0), e.input(1)), [x, y], 'uint32')).toEqual([
      4294967295, 4294967295, 2, 4294967293, 0, 7,
    ]);
    expect(await compute(e.div(e.input(0), e.input(1)), [x, y], 'uint32')).toEqual([
      0, 0, 1, 2147483647, 1, 0,
    ]);
    expect(await compute(e.gt(e.input(0), e.input(1)), [x, y], 'uint32')).toEqual([0, 0, 1, 1, 0, 1]);
    expect(await compute(e.neg(e.input(0)), [[1, 0]], 'uint32')).toEqual([4294967295, 0]);
  });

  test('powers', async () => {
    expect(
      await compute(
        e.pow(e.input(0), e.input(1)),
        [
          [2, -3, 5, 7, 1, -1, 2],
          [10, 3, 0, 1, -2, -3, -1],
        ],
        'int32',
      ),
    ).toEqual([1024, -27, 1, 7, 1, -1, 0]);
  });
});

describe('conversions', () => {
  const floats = [
    0,
    -0,
    0.5,
    1.9,
    -1.9,
    127.5,
    128,
    255,
    256,
    300.7,
    -1,
    -300.2,
    65504,
    65520,
    1e-8,
    6e-8,
    1e9,
    3e9,
    -3e9,
    5e9,
    1e20,
    -1e20,
    Infinity,
    -Infinity,
    NaN,
  ];
  const toI32 = (x: number): number =>
    Number.isNaN(x) ? 0 : Math.trunc(Math.min(Math.max(x, -2147483648), 2147483647));
  const rules: Record<Exclude<DType, 'float64'>, (x: number) => number> = {
    float32: (x) => f(x),
    float16: (x) => fromHalf(toHalf(f(x))),
    int32: (x) => toI32(x) | 0,
    uint32: (x) => (x < 0 || Number.isNaN(x) ? toI32(x) >>> 0 : Math.min(Math.trunc(x), 4294967295) + 0),
    int8: (x) => (toI32(x) << 24) >> 24,
    uint8: (x) => toI32(x) & 255,
    bool: (x) => Number(x !== 0),
  };
  test.each(Object.entries(rules))('float32 to %s', async (dtype, rule) => {
    expect(await compute(e.input(0), [floats], 'float32', dtype as DType)).toEqual(
      floats.map((x) => rule(f(x))),
    );
  });

  test('all halves there and back', async () => {
    const x = array(device, [65536], 'float16');
    device.write(
      x.storage,
      Uint16Array.from({ length: 65536 }, (_, i) => i),
    );
    const copy = elementwiseKernel('cast', 1, e.input(0));
    const wide = run(device, copy, [x], [65536], 'float32');
    const back = run(device, copy, [wide], [65536], 'float16');
    const [bits] = await device.read([{ storage: back.storage, at: 0, bytes: 131072 }]);
    const got = new Uint16Array(bits as ArrayBuffer);
    const wanted = await values(device, wide);
    let wrong = 0;
    for (let i = 0; i < 65536; i++) {
      const isNaNHalf = (i & 0x7c00) === 0x7c00 && (i & 1023) !== 0;
      if (isNaNHalf ? (got[i] as number & 0x7fff) <= 0x7c00 : got[i] !== i) wrong++;
      if (!Object.is(wanted[i], fromHalf(i))) wrong++;
    }
    expect(wrong).toBe(0);
  });

  const whole: [DType, DType, number[], number[]][] = [
    ['int32', 'uint8', [-1, 256, 255, 300], [255, 0, 255, 44]],
    ['int32', 'int8', [-1, 128, 200, -200], [-1, -128, -56, 56]],
    ['int32', 'bool', [0, -5, 256, 1], [0, 1, 1, 1]],
    ['uint32', 'float32', [0, 4294967295, 16777217, 2147483649], [0, 4294967296, 16777216, 2147483648]],
    ['uint32', 'int32', [4294967295, 5], [-1, 5]],
    ['int8', 'float32', [-128, -1, 127], [-128, -1, 127]],
    ['int8', 'uint32', [-1, 5], [4294967295, 5]],
    ['uint8', 'int8', [200, 5], [-56, 5]],
    ['bool', 'float16', [0, 1, 1], [0, 1, 1]],
    ['float16', 'uint8', [1.5, -1, 300], [1, 255, 44]],
  ];
  test.each(whole)('%s to %s', async (from, to, x, y) => {
    expect(await compute(e.input(0), [x], from, to)).toEqual(y);
  });

  test('inputs of other dtypes are converted to the compute type', async () => {
    const kernel = elementwiseKernel('add', 2, e.add(e.input(0), e.input(1)));
    const a = array(device, [5], 'uint8', [1, 2, 3, 4, 5]);
    const b = array(device, [5], 'float32', [0.5, 1.5, 2.5, 3.5, -7]);
    expect(await values(device, run(device, kernel, [a, b], [5], 'float32'))).toEqual(
      [1, 3, 5, 7, 4294967296].map(f),
    );
    expect(await values(device, run(device, kernel, [b, a], [5], 'float32'))).toEqual([
      1.5, 3.5, 5.5, 7.5, -2,
    ]);
  });
});

describe('how inputs lie', () => {
  const sub = elementwiseKernel('sub', 2, e.sub(e.input(0), e.input(1)));
  const DTYPES: DType[] = ['float32', 'int32', 'float16', 'int8'];
  /** A naive broadcast. */
  function broadcast(
    a: { shape: number[]; data: number[] },
    b: { shape: number[]; data: number[] },
    shape: number[],
  ): number[] {
    const at = (x: { shape: number[]; data: number[] }, index: number[]): number => {
      let offset = 0;
      x.shape.forEach((extent, d) => {
        const c = index[d + shape.length - x.shape.length] as number;
        offset = offset * extent + (extent === 1 ? 0 : c);
      });
      return x.data[offset] as number;
    };
    const size = shape.reduce((p, q) => p * q, 1);
    return Array.from({ length: size }, (_, i) => {
      const index: number[] = [];
      let rest = i;
      for (let d = shape.length - 1; d >= 0; d--) {
        index.unshift(rest % (shape[d] as number));
        rest = Math.floor(rest / (shape[d] as number));
      }
      return at(a, index) - at(b, index);
    });
  }
  const shapes: [number[], number[], number[]][] = [
    [[2, 3], [3], [2, 3]],
    [[2, 8], [8], [2, 8]],
    [
      [3, 5],
      [3, 1],
      [3, 5],
    ],
    [
      [3, 8],
      [3, 1],
      [3, 8],
    ],
    [[1], [4, 5], [4, 5]],
    [
      [3, 1],
      [1, 4],
      [3, 4],
    ],
    [
      [3, 1],
      [1, 5],
      [3, 5],
    ],
    [
      [2, 3, 4],
      [3, 1],
      [2, 3, 4],
    ],
    [
      [2, 1, 4, 1],
      [3, 1, 5],
      [2, 3, 4, 5],
    ],
    [
      [2, 1, 3, 1, 2, 1],
      [1, 2, 1, 2, 1, 2],
      [2, 2, 3, 2, 2, 2],
    ],
    [[1, 7], [7], [1, 7]],
    [
      [2, 3, 2, 2],
      [1, 3, 1, 1],
      [2, 3, 2, 2],
    ],
    [[], [2, 2], [2, 2]],
    [[0, 3], [3], [0, 3]],
  ];
  for (const dtype of DTYPES)
    test.each(shapes)(`${dtype}: %j − %j`, async (sa, sb, shape) => {
      const fill = (s: number[], seed: number): number[] =>
        Array.from({ length: s.reduce((p, q) => p * q, 1) }, (_, i) => ((i * seed) % 23) - 11);
      const a = { shape: sa, data: fill(sa, 7) };
      const b = { shape: sb, data: fill(sb, 5) };
      const y = run(
        device,
        sub,
        [array(device, sa, dtype, a.data), array(device, sb, dtype, b.data)],
        shape,
        dtype,
      );
      expect(await values(device, y)).toEqual(broadcast(a, b, shape));
    });

  test('in place, and with itself', async () => {
    for (const dtype of ['float32', 'uint8', 'float16'] as DType[]) {
      const x = array(device, [5], dtype, [1, 2, 3, 4, 5]);
      const mul = elementwiseKernel('mul', 2, e.mul(e.input(0), e.input(1)));
      device.run(mul, [x, x], [x], [], []);
      expect(await values(device, x)).toEqual([1, 4, 9, 16, 25]);
      const y = array(device, [5], dtype, [5, 4, 3, 2, 1]);
      device.run(mul, [y, x], [x], [], []);
      expect(await values(device, x)).toEqual([5, 16, 27, 32, 25]);
      expect(await values(device, run(device, mul, [y, y], [5], dtype))).toEqual([25, 16, 9, 4, 1]);
    }
  });

  test('in place with a view of itself that has another shape', async () => {
    const x = array(device, [1, 6], 'float32', [1, 2, 3, 4, 5, 6]);
    device.run(sub, [x, { ...x, shape: [6] }], [x], [], []);
    expect(await values(device, x)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test('in place with a broadcast input', async () => {
    const x = array(device, [2, 3], 'float32', [1, 2, 3, 4, 5, 6]);
    const b = array(device, [3], 'float32', [1, 1, 2]);
    device.run(sub, [x, b], [x], [], []);
    expect(await values(device, x)).toEqual([0, 1, 1, 3, 4, 4]);
  });

  test('sizes around words, quads and workgroups', async () => {
    for (const size of [1, 2, 3, 4, 5, 255, 256, 257, 1023]) {
      const data = Array.from({ length: size }, (_, i) => i % 100);
      for (const dtype of ['float32', 'uint8', 'float16', 'bool'] as DType[]) {
        const x = array(device, [size], dtype, dtype === 'bool' ? data.map((v) => v % 2) : data);
        const y = run(device, elementwiseKernel('inc', 1, e.add(e.input(0), 1)), [x], [size], dtype);
        expect(await values(device, y)).toEqual(data.map((v) => (dtype === 'bool' ? 1 : v + 1)));
      }
    }
  });

  test('more strides than the parameters hold', async () => {
    const inputs = 6;
    let sum: Expr = e.input(0);
    for (let k = 1; k < inputs; k++) sum = e.add(sum, e.input(k));
    const shape = [2, 2, 2, 2, 2, 2, 2, 2];
    const operands = Array.from({ length: inputs }, (_, k) => {
      const own = shape.map((extent, d) => ((d + k) % 2 === 0 ? extent : 1));
      return array(
        device,
        own,
        'float32',
        Array.from({ length: 16 }, (_, i) => i + k),
      );
    });
    const y = run(device, elementwiseKernel('sum6', inputs, sum), operands, shape, 'float32');
    const pick = (index: number, parity: number): number => {
      let offset = 0;
      for (let d = 0; d < 8; d++) if (d % 2 === parity) offset = offset * 2 + ((index >> (7 - d)) & 1);
      return offset;
    };
    const wanted = Array.from({ length: 256 }, (_, i) => {
      let total = 0;
      for (let k = 0; k < inputs; k++) total += pick(i, k % 2) + k;
      return total;
    });
    expect(await values(device, y)).toEqual(wanted);
  });
});

describe('several outputs', () => {
  const kernel = elementwiseKernel('both', 2, e.add(e.input(0), e.input(1)), 0, [
    e.mul(e.input(0), e.input(1)),
    e.sub(e.add(e.input(0), e.input(1)), e.scalar(0)),
  ]);

  test('of the first one’s shape and dtype', async () => {
    for (const dtype of ['float32', 'float16', 'int8'] as const) {
      const x = array(device, [2, 3], dtype, [1, 2, 3, 4, 5, 6]);
      const row = array(device, [3], dtype, [2, -1, 3]);
      const ys = [0, 1, 2].map(() => array(device, [2, 3], dtype));
      device.run(kernel, [x, row], ys, [], [5]);
      expect(await Promise.all(ys.map((y) => values(device, y)))).toEqual([
        [3, 1, 6, 6, 4, 9],
        [2, -2, 9, 8, -5, 18],
        [-2, -4, 1, 1, -1, 4],
      ]);
    }
  });

  test('in place of any input', async () => {
    const x = array(device, [5], 'float32', [1, 2, 3, 4, 5]);
    const z = array(device, [5], 'float32', [2, 2, 2, 3, 3]);
    const y = array(device, [5], 'float32');
    device.run(kernel, [x, z], [z, y, x], [], [1]);
    expect(await values(device, z)).toEqual([3, 4, 5, 7, 8]);
    expect(await values(device, y)).toEqual([2, 4, 6, 12, 15]);
    expect(await values(device, x)).toEqual([2, 3, 4, 6, 7]);
  });
});

describe('strided loads', () => {
  /** Plain loops over `dims`. */
  function wanted(inputs: readonly (readonly number[])[], dims: readonly number[]): number[][] {
    const ndim = dims[0] as number;
    const shape = dims.slice(1, 1 + ndim);
    const size = shape.reduce((a, b) => a * b, 1);
    return inputs.map((data, k) => {
      const [offset = 0, ...steps] = dims.slice(1 + ndim + k * (ndim + 1), 1 + ndim + (k + 1) * (ndim + 1));
      return Array.from({ length: size }, (_, i) => {
        let rest = i;
        let place = offset;
        for (let d = ndim - 1; d >= 0; d--) {
          place += (rest % (shape[d] as number)) * (steps[d] as number);
          rest = Math.floor(rest / (shape[d] as number));
        }
        return data[place] as number;
      });
    });
  }
  const cases: [string, number[]][] = [
    ['transposed beside flat', [2, 4, 6, 0, 1, 4, 0, 6, 1]],
    ['sliced from the end, and a column repeated', [2, 3, 5, 23, -6, -1, 2, 5, 0]],
    ['rows of aligned quads, and one element of each', [2, 3, 8, 8, 8, 1, 3, 4, 0]],
    ['three axes, one of them of extent 1, in another order', [3, 2, 1, 12, 0, 12, 99, 1, 1, 1, 0, 2]],
    ['one element, from inside', [0, 7, 3]],
    [
      'nine axes, of which some fold',
      [9, 2, 2, 1, 1, 2, 1, 1, 1, 2, ...[0, 1, 2, 0, 0, 4, 0, 0, 0, 8], ...[3, 8, 4, 0, 0, 2, 0, 0, 0, 1]],
    ],
  ];
  test.each(cases)('%s', async (_, dims) => {
    for (const dtype of ['float32', 'uint8'] as const) {
      const data = [1, 2].map((seed) => Array.from({ length: 40 }, (_, i) => (i * 7 * seed) % 50));
      const ndim = dims[0] as number;
      const shape = dims.slice(1, 1 + ndim);
      const kernel = elementwiseKernel('add', 2, e.add(e.input(0), e.mul(e.input(1), 2)));
      const y = run(
        device,
        kernel,
        data.map((list) => array(device, [40], dtype, list)),
        shape,
        dtype,
        dims,
      );
      const [a = [], b = []] = wanted(data, dims);
      expect(await values(device, y)).toEqual(a.map((v, i) => v + 2 * (b[i] as number)));
    }
  });

  test('more strides than the parameters hold: inputs are written out first', async () => {
    // eight axes of two that no neighbour continues, seven inputs
    const ndim = 8;
    const order = [3, 0, 6, 2, 7, 4, 1, 5];
    const dims = [ndim, ...new Array<number>(ndim).fill(2)];
    const data = Array.from({ length: 7 }, (_, k) => Array.from({ length: 256 }, (_, i) => (i * 7 + k) % 11));
    for (let k = 0; k < 7; k++) dims.push(0, ...order.map((d) => 2 ** ((d + k) % ndim)));
    const sum = data.map((_, k) => e.input(k)).reduce((a, b) => e.add(a, b));
    const y = run(
      device,
      elementwiseKernel('sum', 7, sum),
      data.map((list) => array(device, [256], 'float32', list)),
      dims.slice(1, 1 + ndim),
      'float32',
      dims,
    );
    const lists = wanted(data, dims);
    const want = Array.from({ length: 256 }, (_, i) =>
      lists.reduce((total, list) => total + (list[i] as number), 0),
    );
    expect(await values(device, y)).toEqual(want);
  });
});
