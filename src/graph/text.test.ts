import { expect, test } from 'vitest';
import { e } from '../ir/expr.ts';
import type { Graph } from '../ir/graph.ts';
import { elementwiseKernel, productKernel } from '../ir/kernel.ts';
import { graphText } from './text.ts';

test('a line for each kernel, with what it does, reads and makes', () => {
  const operand = (value: number, shape: readonly number[]) => ({ value, dtype: 'float32' as const, shape });
  const add = elementwiseKernel('add', 2, e.add(e.input(0), e.input(1)));
  const graph: Graph = {
    values: [0, 1, 2, 3, 4].map((id) => ({ id, bytes: 24 })),
    inputs: [0, 1],
    stable: [false, true],
    constants: new Map([[4, new Uint8Array(24)]]),
    nodes: [
      {
        kernel: productKernel('fullyConnected', 'matmul', { transposeB: true }),
        inputs: [operand(0, [2, 3]), operand(1, [3, 3])],
        outputs: [operand(2, [2, 3])],
        from: [null],
        dims: [],
        scalars: [],
        ops: ['fullyConnected', 'relu'],
      },
      {
        kernel: add,
        inputs: [operand(2, [2, 3]), operand(4, [2, 3])],
        outputs: [{ ...operand(3, [6]), dtype: 'float16' }],
        from: [1],
        dims: [],
        scalars: [],
        ops: [],
      },
    ],
    outputs: [2, 3],
    into: [null, 1],
    scalars: 0,
  };
  expect(graphText(graph, (value) => (value === 1 ? 'weight' : undefined))).toBe(
    [
      '  fullyConnected+relu  matmul       in0 (2, 3), weight (3, 3) → %1 (2, 3)',
      '  add                  elementwise  %1 (2, 3), constant (2, 3) → %2 (6,) float16',
      '  result: %1, %2 into weight',
    ].join('\n'),
  );
});
