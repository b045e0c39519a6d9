// Functions whose last digit on the CPU depends on the number of elements keep it when they are fused: chains with exp, log, tanh and erf over small and large arrays, bit for bit.
import { expect, test } from 'vitest';
import { CpuDevice } from '../../device/cpu/cpuDevice.ts';
import { SMALL } from '../../device/digits.ts';
import { type Expr, e } from '../../ir/expr.ts';
import type { GraphOperand } from '../../ir/graph.ts';
import { elementwiseKernel, productKernel, rowKernel } from '../../ir/kernel.ts';
import { GraphBuilder, interpret, viewed } from '../testGraphs.ts';
import { optimize } from './optimize.ts';

const [x, y] = [e.input(0), e.input(1)];
const functions: readonly Expr[] = [
  e.exp(x),
  e.log(e.add(e.abs(x), 1)),
  e.tanh(x),
  e.erf(x),
  e.mul(x, e.erf(x)),
];

type Make = (b: GraphBuilder, f: Expr, n: number) => GraphOperand;

const cases: Readonly<Record<string, Make>> = {
  chain: (b, f, n) => {
    const v = b.node(elementwiseKernel('f', 1, f), [b.input([n])], [n]);
    return b.node(elementwiseKernel('g', 2, e.mul(e.exp(e.neg(x)), y)), [v, b.input([n])], [n]);
  },
  'read by strides': (b, f, n) => {
    const v = b.node(elementwiseKernel('f', 1, f), [b.input([4, n / 4])], [4, n / 4]);
    const dims = [2, n / 4, 4, 0, 1, n / 4, 0, 4, 1];
    const turned = elementwiseKernel('g', 2, e.add(e.tanh(x), y));
    return b.node(turned, [v, b.input([n / 4, 4])], [n / 4, 4], { dims });
  },
  'repeated for more elements': (b, f, n) => {
    const v = b.node(elementwiseKernel('f', 1, f), [b.input([n / 4])], [n / 4]);
    return b.node(elementwiseKernel('g', 2, e.add(x, y)), [v, b.input([4, n / 4])], [4, n / 4]);
  },
  'into rows across': (b, f, n) => {
    const v = b.node(elementwiseKernel('f', 1, f), [b.input([n / 4, 4])], [n / 4, 4]);
    const greatest = rowKernel('max', 1, [{ combine: 'max', load: x }], e.stage(0), false);
    return b.node(greatest, [v], [4], { dims: [1, n / 4, 4, n, 4, 1] });
  },
  'into rows along': (b, f, n) => {
    const v = b.node(elementwiseKernel('f', 1, f), [b.input([4, n / 4])], [4, n / 4]);
    const greatest = rowKernel('max', 1, [{ combine: 'max', load: x }], e.stage(0), false);
    return b.node(greatest, [v], [4], { dims: [4, n / 4, 1, n / 4, 1, 1] });
  },
  'after rows': (b, f, n) => {
    const greatest = rowKernel('max', 1, [{ combine: 'max', load: x }], e.stage(0), false);
    const v = b.node(greatest, [b.input([n / 4, 4])], [n / 4], { dims: [n / 4, 4, 1, 4, 1, 1] });
    return b.node(elementwiseKernel('f', 1, f), [v], [n / 4]);
  },
  'beside rows': (b, f, n) => {
    const data = b.input([n / 4, 4]);
    const greatest = rowKernel('max', 1, [{ combine: 'max', load: x }], e.stage(0), false);
    const v = b.node(greatest, [data], [n / 4], { dims: [n / 4, 4, 1, 4, 1, 1] });
    const g = b.node(elementwiseKernel('f', 1, f), [v], [n / 4]);
    return b.node(elementwiseKernel('sub', 2, e.exp(e.sub(x, y))), [data, viewed(g, [n / 4, 1])], [n / 4, 4]);
  },
  'after a product': (b, f, n) => {
    const kernel = productKernel('matmul', 'matmul', { bias: 'n' });
    const inputs = [b.input([n / 4, 3]), b.input([3, 4]), b.input([4])];
    const v = b.node(kernel, inputs, [n / 4, 4], { dims: [1, n / 4, 4, 3, 0, 0] });
    return b.node(elementwiseKernel('f', 1, f), [v], [n / 4, 4]);
  },
  'of a number': (b, f, n) => {
    const two = b.node(elementwiseKernel('full', 0, e.scalar(0), -1), [], [n], {
      scalars: [0.7],
      dtype: 'float32',
    });
    const v = b.node(elementwiseKernel('f', 1, f), [two], [n]);
    return b.node(elementwiseKernel('g', 2, e.add(x, y)), [v, b.input([n])], [n]);
  },
};

test.each(Object.keys(cases))('%s', async (name) => {
  const device = new CpuDevice();
  let fused = 0;
  for (const n of [SMALL / 2, SMALL, SMALL + 4, 4 * SMALL, 4 * SMALL + 64])
    for (const [i, f] of functions.entries()) {
      const b = new GraphBuilder();
      b.output((cases[name] as Make)(b, f, n));
      const graph = b.build();
      const better = optimize(graph, { kind: 'cpu', maxBindings: 12 });
      if (better.nodes.length < graph.nodes.length) fused++;
      const inputs = graph.inputs.map((v, k) => {
        const size = (graph.values[v]?.bytes ?? 0) / 4;
        return new Uint8Array(
          Float32Array.from({ length: size }, (_, j) => Math.sin(j * 7.31 + k) * 2).buffer,
        );
      });
      const [wanted] = await interpret(graph, device, inputs);
      expect((await interpret(better, device, inputs))[0], `${n} elements, function ${i}`).toEqual(wanted);
    }
  // what costs is not computed again for each element that repeats it, and no function of a number alone is left
  if (name !== 'of a number' && name !== 'repeated for more elements') expect(fused).toBeGreaterThan(0);
});
