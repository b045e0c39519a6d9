// A net that MXNet trained, from its own file: it must be right about the pictures that it was right about there.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { eachDevice } from '../../test/devices.ts';
import type { NDArray } from '../array/ndarray.ts';
import { type Context, cpu } from '../core/context.ts';
import * as nd from '../nd/index.ts';
import * as nn from './nn/index.ts';

const read = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`../../test-data/crash-course/${name}`, import.meta.url)));

function lenet(): nn.Sequential {
  const net = new nn.Sequential();
  return net.add(
    new nn.Conv2D(6, 5, { activation: 'relu' }),
    new nn.MaxPool2D(2, 2),
    new nn.Conv2D(16, 3, { activation: 'relu' }),
    new nn.MaxPool2D(2, 2),
    new nn.Flatten(),
    new nn.Dense(120, { activation: 'relu' }),
    new nn.Dense(84, { activation: 'relu' }),
    new nn.Dense(10),
  );
}

/** idx files: four bytes of magic, then extents as big-endian u32, then bytes. */
function pictures(ctx: Context): { readonly images: NDArray; readonly labels: Uint8Array } {
  const images = gunzipSync(read('fashion-sprite-images-idx3-ubyte.gz'));
  const labels = gunzipSync(read('fashion-sprite-labels-idx1-ubyte.gz'));
  const pixels = Float32Array.from(images.subarray(16), (v) => (v / 255 - 0.13) / 0.31);
  return { images: nd.array(pixels, { shape: [900, 1, 28, 28], ctx }), labels: labels.subarray(8) };
}

interface Expected {
  readonly correct_of_900: number;
  readonly logits_tile0: readonly number[];
  readonly pred_first_30: readonly number[];
}
const expected = JSON.parse(new TextDecoder().decode(read('lenet-expected.json'))) as Expected;

eachDevice((ctx) => {
  test('classifies the pictures as it did there', async () => {
    const net = lenet();
    await net.loadParameters(read('lenet-fashionmnist.params'), { ctx });
    const { images, labels } = pictures(ctx);
    const logits = net(images);
    const predicted = await logits.argmax(1).data();
    expect([...labels].filter((label, i) => predicted[i] === label)).toHaveLength(expected.correct_of_900);
    expect([...predicted.subarray(0, 30)]).toEqual(expected.pred_first_30);
    const first = await logits.at(0).data();
    expected.logits_tile0.forEach((value, i) => {
      expect(Math.abs((first[i] as number) - value)).toBeLessThan(1e-4);
    });
  });

  test('has the same first weights on every device', async () => {
    const weights: Float32Array[] = [];
    for (const where of [cpu(), ctx]) {
      nd.random.seed(11);
      const net = lenet();
      net.initialize('xavier', { ctx: where });
      net(nd.zeros([1, 1, 28, 28], { ctx: where })).dispose();
      for (const i of [0, 2, 5, 6, 7]) weights.push(await (net[i] as nn.Layer).weight.data().data('float32'));
    }
    expect(weights.slice(5)).toEqual(weights.slice(0, 5));
  });

  test('is written back byte for byte', async () => {
    const net = lenet();
    const file = read('lenet-fashionmnist.params');
    await net.loadParameters(file, { ctx });
    expect(await net.saveParameters()).toEqual(file);
  });
});
