// The crash course's second part, cell by cell: what the tutorial prints must come out, digit for digit, from a fresh seed.
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { NDArray } from '../array/ndarray.ts';
import * as nd from '../nd/index.ts';
import * as nn from './nn/index.ts';

interface Replay {
  readonly seed_post_part2_replay: { readonly v: Readonly<Record<string, readonly number[]>> };
}
const recorded = (
  JSON.parse(readFileSync(new URL('../../test-data/mxnet/rng-cpu.json', import.meta.url), 'utf8')) as Replay
).seed_post_part2_replay.v;

/** The recorded values are float32 numbers written in full. */
async function expectValues(x: NDArray, name: string): Promise<void> {
  const values = recorded[name];
  if (values === undefined) throw new Error(`${name} is not recorded`);
  expect([...(await x.data())]).toEqual([...values]);
}

class MixMLP extends nn.Block {
  blk = new nn.Sequential();
  dense = new nn.Dense(5);
  constructor() {
    super();
    this.blk.add(new nn.Dense(3, { activation: 'relu' }), new nn.Dense(4, { activation: 'relu' }));
  }
  forward(x: NDArray): NDArray {
    const y = nd.relu(this.blk(x));
    void y.print();
    return this.dense(y);
  }
}

describe('crash course, part 2', () => {
  // one generator runs through all cells, so they run in order
  beforeAll(() => {
    nd.random.seed(0);
  });

  test('a layer', async () => {
    const layer = new nn.Dense(2);
    expect(String(layer)).toBe('Dense(None -> 2, linear)');
    layer.initialize();
    let y = nd.zeros([1]);
    for (let i = 0; i < 5; i++) {
      const x = nd.random.uniform(-1, 1, [3, 4]);
      await expectValues(x, `x${i}`);
      y = layer(x);
    }
    expect(String(y)).toBe(
      '\n[[ 0.01587485  0.03087313]\n [ 0.02257253 -0.02103142]\n [ 0.06961896  0.01239835]]\n<NDArray 3x2 @cpu(0)>',
    );
    expect(String(layer.weight.data())).toBe(
      '\n[[-0.00873779 -0.02834515  0.05484822 -0.06206018]\n [ 0.06491279 -0.03182812 -0.01631819 -0.00312688]]\n<NDArray 2x4 @cpu(0)>',
    );
    expect(String(layer)).toBe('Dense(4 -> 2, linear)');
  });

  test('LeNet as a chain', () => {
    const net = new nn.Sequential();
    net.add(
      new nn.Conv2D(6, 5, { activation: 'relu' }),
      new nn.MaxPool2D(2, 2),
      new nn.Conv2D(16, 3, { activation: 'relu' }),
      new nn.MaxPool2D(2, 2),
      new nn.Dense(120, { activation: 'relu' }),
      new nn.Dense(84, { activation: 'relu' }),
      new nn.Dense(10),
    );
    expect(String(net)).toBe(
      [
        'Sequential(',
        '  (0): Conv2D(None -> 6, kernel_size=(5, 5), stride=(1, 1))',
        '  (1): MaxPool2D(size=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=False)',
        '  (2): Conv2D(None -> 16, kernel_size=(3, 3), stride=(1, 1))',
        '  (3): MaxPool2D(size=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=False)',
        '  (4): Dense(None -> 120, Activation(relu))',
        '  (5): Dense(None -> 84, Activation(relu))',
        '  (6): Dense(None -> 10, linear)',
        ')',
      ].join('\n'),
    );
    net.initialize();
    const y = net(nd.random.uniform({ shape: [4, 1, 28, 28] }));
    expect(y.shape).toEqual([4, 10]);
    expect([net[0].weight.data().shape, net[5].bias.data().shape]).toEqual([[6, 1, 5, 5], [84]]);
  });

  test('a block of one’s own', async () => {
    const net = new MixMLP();
    expect(String(net)).toBe(
      [
        'MixMLP(',
        '  (blk): Sequential(',
        '    (0): Dense(None -> 3, Activation(relu))',
        '    (1): Dense(None -> 4, Activation(relu))',
        '  )',
        '  (dense): Dense(None -> 5, linear)',
        ')',
      ].join('\n'),
    );
    net.initialize();
    const x = nd.random.uniform({ shape: [2, 2] });
    await expectValues(x, 'mix_x');
    const printed: string[] = [];
    const log = vi.spyOn(console, 'log').mockImplementation((text: unknown) => {
      printed.push(String(text));
    });
    const y = net(x);
    log.mockRestore();
    expect(printed).toEqual([
      '\n[[0.         0.00072302 0.00043636 0.00045482]\n [0.         0.00081594 0.00049244 0.00051327]]\n<NDArray 2x4 @cpu(0)>',
    ]);
    await expectValues(net.blk[0].weight.data(), 'mix_w0');
    await expectValues(net.blk[1].weight.data(), 'mix_w1');
    await expectValues(net.dense.weight.data(), 'mix_w2');
    const out = [...(await y.data())];
    recorded['mix_out']?.forEach((value, i) => {
      expect(Math.abs((out[i] as number) - value)).toBeLessThan(1e-10);
    });
    expect(out).toHaveLength(10);
  });
});
