// The GPU's gradients against the CPU's, both in float32.
import { beforeAll, describe, expect, test } from 'vitest';
import { cpu, gpu, nd, openGpu } from 'webgluon';
import { batchNormTraining } from '../../src/ops/batchNorm.ts';
import { crossEntropyRows } from '../../src/ops/crossEntropy.ts';
import { differences, integers } from '../values.ts';
import { gradientsOn, indices, input } from './check.ts';
import cases, { type Case } from './table.ts';

// Sizes at which kernels take other ways: tiles, split sums, sorted scatters, several workgroups.
const large: readonly Case[] = [
  {
    name: 'a convolution, its pooling and a dense layer',
    f: (x, w, b, d) =>
      nd.fullyConnected(
        nd.pooling(nd.relu(nd.convolution(x, w, b, { pad: 2 })), { kernel: 2, stride: 2 }),
        d,
        null,
      ),
    inputs: [
      input([4, 3, 20, 20]),
      input([16, 3, 5, 5], -0.2, 0.2),
      input([16]),
      input([20, 1600], -0.05, 0.05),
    ],
  },
  {
    name: 'overlapping windows',
    f: (x) => nd.pooling(x, { kernel: 3, stride: 2, pad: 1 }).square(),
    inputs: [input([2, 8, 33, 31])],
  },
  {
    name: 'an embedding with many repeats',
    f: (w, i) => nd.embedding(i, w).square(),
    inputs: [input([50, 17]), indices([400], integers(400, 0, 49))],
  },
  {
    name: 'take along a middle axis',
    f: (x, i) => x.take(i, { axis: 1 }).square(),
    inputs: [input([3, 40, 5]), indices([100], integers(100, 0, 39, 3))],
  },
  {
    name: 'sorted rows',
    f: (x) => x.sort(1).mul(nd.arange(300, { ctx: x.context }).div(300)),
    inputs: [input([4, 300])],
  },
  {
    name: 'batch norm',
    f: (x, g, b) => batchNormTraining(x, g, b)[0].square(),
    inputs: [input([8, 6, 13, 11]), input([6], 0.5, 1.5), input([6])],
  },
  {
    name: 'cross entropy of many classes',
    f: (x, t) => crossEntropyRows(x, t),
    inputs: [input([70, 1000], -4, 4), indices([70], integers(70, 0, 999))],
  },
  {
    name: 'layer norm',
    f: (x, g, b) => nd.layerNorm(x, g, b).square(),
    inputs: [input([40, 300]), input([300], 0.5, 1.5), input([300])],
  },
];

/** Set where no adapter can be had at all. */
const WITHOUT_GPU = process.env['WEBGLUON_NO_GPU'] === '1';

describe.skipIf(WITHOUT_GPU)('on gpu(0)', () => {
  beforeAll(async () => {
    await openGpu({ allowSoftware: true });
  });

  // float64 in between is the CPU's alone, and dropout draws from each device's own generator
  const shared = cases.filter(({ f, name }) => !String(f).includes('float64') && !name.startsWith('dropout'));
  test.each(shared.map((c) => [c.name, c] as const))('%s', async (_, { f, inputs }) => {
    const [there, here] = [await gradientsOn(gpu(), f, inputs), await gradientsOn(cpu(), f, inputs)];
    expect(differences(there, here, { rtol: 2e-5, atol: 5e-6 })).toEqual([]);
  });

  test.each(large.map((c) => [c.name, c] as const))('%s', async (_, { f, inputs }) => {
    const [there, again, here] = [
      await gradientsOn(gpu(), f, inputs),
      await gradientsOn(gpu(), f, inputs),
      await gradientsOn(cpu(), f, inputs),
    ];
    const scale = Math.max(...here.map(Math.abs));
    expect(differences(there, here, { rtol: 1e-4, atol: 2e-6 * scale })).toEqual([]);
    // and the same bits each time
    expect(again).toEqual(there);
  });
});
