import { expect, test, vi } from 'vitest';
import { cpu } from '../../core/context.ts';
import { deviceOf } from '../../device/registry.ts';
import { type NDArray, nd, nn } from '../../index.ts';

function mlp(): nn.Sequential {
  const net = new nn.Sequential({ prefix: 'mlp_' });
  net.add(new nn.Dense(4, { activation: 'relu' }), new nn.BatchNorm(), new nn.Dense(2));
  net.initialize();
  return net;
}

test('a line for each operation, with its block, its operands and what it makes', () => {
  const net = mlp();
  net(nd.ones([3, 5]));
  const before = deviceOf(cpu()).stats.dispatches;
  const text = net.graph([3, 5]);
  expect(deviceOf(cpu()).stats.dispatches).toBe(before);
  expect(text).toMatch(/^mlp \(Sequential\) on cpu\(0\): \d+ operations\n/);
  const dense = net[0].name;
  expect(text).toMatch(
    new RegExp(
      `fullyConnected +${dense} +x \\(3, 5\\), 0\\.weight \\(4, 5\\), 0\\.bias \\(4,\\) → %1 \\(3, 4\\)`,
    ),
  );
  expect(text).toMatch(new RegExp(`relu +${dense}_relu +%1 \\(3, 4\\) → %2 \\(3, 4\\)`));
  expect(text).toContain('1.running_mean (4,)');
  expect(text).toMatch(/result: %\d+ \(3, 2\)\nAfter fusion: \d+ kernels\n/);
});

test('takes an array as well as a shape, and looks at layers as inference has them', () => {
  const net = mlp();
  net.add(new nn.Dropout(0.5));
  expect(net.graph(nd.ones([3, 5]))).toBe(net.graph([3, 5]));
  expect(net.graph([3, 5])).not.toContain('dropout');
});

test('lists of inputs, an input left out, one operation', () => {
  class Joined extends nn.HybridBlock {
    forward(parts: NDArray[], scale: NDArray | null): NDArray {
      const all = nd.concat(...parts, { dim: 1 });
      return scale === null ? all : all.mul(scale);
    }
  }
  const net = new Joined();
  const text = net.graph([[2, 3], nd.ones([2, 1], { dtype: 'float32' })], null);
  expect(text).toMatch(/: 1 operation\n.*x0 \(2, 3\), x1 \(2, 1\) → %1 \(2, 4\)\n/);
  expect(
    net.graph(
      [
        [2, 3],
        [2, 1],
      ],
      [1],
    ),
  ).toMatch(/: 2 operations\n/);
});

test('a forward that prints is looked at all the same, and prints nothing', async () => {
  const log = vi.spyOn(console, 'log').mockReturnValue();
  class Printing extends nn.Block {
    dense = new nn.Dense(2);
    forward(x: NDArray): NDArray {
      const y = this.dense(x);
      void y.print();
      return y.mul(2);
    }
  }
  const net = new Printing();
  net.initialize();
  expect(net.graph([1, 2])).toContain('mulScalar');
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(log).not.toHaveBeenCalled();
  log.mockRestore();
});
