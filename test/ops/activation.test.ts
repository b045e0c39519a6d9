// Activations with parameters against their formulas in float64; those without stand in unary.test.ts.
import { expect, test } from 'vitest';
import { type NDArray, nd } from 'webgluon';
import { eachDevice } from '../devices.ts';
import { differences, expectArray } from '../values.ts';

const V = [-20, -3, -1.5, -0.75, -0.1, 0, 0.1, 0.3, 0.75, 1.5, 3, 20];
const FLOATS = { rtol: 1e-6, atol: 1e-7 };
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const elu = (x: number, alpha: number): number => (x > 0 ? x : alpha * Math.expm1(x));
const smooth = (x: number, s: number): number =>
  Math.abs(x) < 1 / (s * s) ? 0.5 * (s * x) ** 2 : Math.abs(x) - 0.5 / (s * s);

eachDevice((ctx) => {
  const x = (): NDArray => nd.array(V, { ctx });
  const check = async (y: NDArray, f: (x: number) => number): Promise<void> =>
    expectArray(
      y,
      [V.length],
      V.map((v) => f(Math.fround(v))),
      FLOATS,
    );

  test('swish, hardSigmoid, elu, smoothL1, with their defaults and without', async () => {
    await check(nd.swish(x()), (v) => v * sigmoid(v));
    await check(x().swish(2), (v) => v * sigmoid(2 * v));
    await check(nd.swish(x(), { beta: 0.5 }), (v) => v * sigmoid(0.5 * v));
    await check(nd.hardSigmoid(x()), (v) => Math.min(1, Math.max(0, 0.2 * v + 0.5)));
    await check(x().hardSigmoid(0.5, 0.1), (v) => Math.min(1, Math.max(0, 0.5 * v + 0.1)));
    await check(nd.elu(x()), (v) => elu(v, 1));
    await check(x().elu(0.3), (v) => elu(v, 0.3));
    await check(nd.smoothL1(x()), (v) => smooth(v, 1));
    await check(x().smoothL1({ scalar: 2 }), (v) => smooth(v, 2));
  });

  test('leakyReLU of every kind', async () => {
    await check(nd.leakyReLU(x()), (v) => (v > 0 ? v : 0.25 * v));
    await check(x().leakyReLU(0.1), (v) => (v > 0 ? v : Math.fround(0.1) * v));
    await check(nd.leakyReLU(x(), { actType: 'elu', slope: 2 }), (v) => elu(v, 2));
    await check(
      nd.leakyReLU(x(), { actType: 'selu' }),
      (v) => 1.0507009873554805 * elu(v, 1.6732632423543772),
    );
    expect(
      differences(await nd.leakyReLU(x(), { actType: 'gelu' }).data(), await nd.gelu(x()).data()),
    ).toEqual([]);
    const gamma = nd.array([0.5], { ctx });
    await check(nd.leakyReLU(x(), { actType: 'prelu', gamma }), (v) => (v > 0 ? v : 0.5 * v));
  });

  test('prelu has one slope for all, or one for each channel', async () => {
    const y = nd.array(
      [
        [
          [-1, 2],
          [-3, 4],
        ],
        [
          [5, -6],
          [7, -8],
        ],
      ],
      { ctx },
    );
    await expectArray(nd.prelu(y, nd.array([0.5], { ctx })), [2, 2, 2], [-0.5, 2, -1.5, 4, 5, -3, 7, -4]);
    await expectArray(y.prelu(nd.array([0.5, 0.25], { ctx })), [2, 2, 2], [-0.5, 2, -0.75, 4, 5, -3, 7, -2]);
  });

  test('activation chooses by name', async () => {
    for (const kind of [
      'relu',
      'sigmoid',
      'tanh',
      'softrelu',
      'softsign',
      'logSigmoid',
      'mish',
      'gelu',
      'silu',
    ] as const) {
      expect(differences(await nd.activation(x(), kind).data(), await nd[kind](x()).data()), kind).toEqual(
        [],
      );
      expect(
        differences(await nd.activation(x(), { actType: kind }).data(), await x()[kind]().data()),
        kind,
      ).toEqual([]);
    }
  });
});
