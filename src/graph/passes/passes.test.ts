// Each pass by itself on small graphs: what it does, and what it leaves alone.
import { describe, expect, test } from 'vitest';
import { e } from '../../ir/expr.ts';
import type { Graph } from '../../ir/graph.ts';
import { customKernel, elementwiseKernel, productKernel, rowKernel } from '../../ir/kernel.ts';
import { faultsOf, GraphBuilder, viewed } from '../testGraphs.ts';
import { foldBatchNorm } from './batchNorm.ts';
import { shareCommonSubexpressions } from './commonSubexpressions.ts';
import { removeCopies } from './copies.ts';
import { removeDeadCode } from './deadCode.ts';
import { sorted } from './draft.ts';
import { foldConstants } from './fold.ts';
import { steadyValues } from './steady.ts';

const [x, y] = [e.input(0), e.input(1)];
const exp = elementwiseKernel('exp', 1, e.exp(x));
const mul = elementwiseKernel('mul', 2, e.mul(x, y));
const full = elementwiseKernel('full', 0, e.scalar(0), -1);
const copy = elementwiseKernel('copy', 1, x);
const uniform = customKernel('randomUniform');
const sum = rowKernel('sum', 1, [{ combine: 'sum', load: x }], e.stage(0), false);
const strided = customKernel('stridedCopy');

/** `exp mul sum`: the operations, a node each. */
function opsOf(graph: Graph): string {
  expect(faultsOf(graph)).toBe('');
  return graph.nodes.map((n) => n.ops.join('+')).join(' ');
}

describe('dead code', () => {
  test('goes, with what only it needed', () => {
    const b = new GraphBuilder();
    const a = b.input([3]);
    const kept = b.node(exp, [a], [3]);
    b.node(mul, [b.node(exp, [kept], [3]), a], [3]);
    b.output(kept);
    expect(opsOf(removeDeadCode(b.build()))).toBe('exp');
  });

  test('draws stay, and what their values were kept in', () => {
    const b = new GraphBuilder();
    const a = b.input([3]);
    b.node(uniform, [], [3], { scalars: [0, 1] });
    b.output(b.node(exp, [a], [3]));
    expect(opsOf(removeDeadCode(b.build()))).toBe('randomUniform exp');
  });

  test('what an output keeps part of stays', () => {
    const b = new GraphBuilder();
    const base = b.node(full, [], [4], { scalars: [1], dtype: 'float32' });
    b.output(b.node(strided, [b.input([2])], [4], { dims: [1, 0, 1, 2, 1, 1], from: [base] }));
    expect(removeDeadCode(b.build()).nodes.length).toBe(2);
  });
});

describe('common subexpressions', () => {
  test('the same kernel over the same operands runs once', () => {
    const b = new GraphBuilder();
    const a = b.input([3]);
    const [p, q] = [b.node(exp, [a], [3]), b.node(elementwiseKernel('again', 1, e.exp(x)), [a], [3])];
    b.output(b.node(mul, [p, q], [3]));
    const graph = shareCommonSubexpressions(b.build());
    expect(opsOf(graph)).toBe('exp mul');
    expect(graph.nodes[1]?.inputs.map((i) => i.value)).toEqual([p.value, p.value]);
  });

  test('an output takes over from a value inside; two outputs keep their own memory', () => {
    const b = new GraphBuilder();
    const a = b.input([3]);
    const inner = b.node(exp, [a], [3]);
    const out = b.node(exp, [a], [3]);
    b.output(out);
    b.output(b.node(mul, [inner, out], [3]));
    const graph = shareCommonSubexpressions(b.build());
    expect(opsOf(graph)).toBe('exp mul');
    expect(graph.outputs[0]).toBe(out.value);
    const two = new GraphBuilder();
    const given = two.input([3]);
    two.output(two.node(exp, [given], [3]));
    two.output(two.node(exp, [given], [3]));
    expect(opsOf(shareCommonSubexpressions(two.build()))).toBe('exp exp');
  });

  test('other scalars, shapes or dims, and draws, are others', () => {
    const b = new GraphBuilder();
    const a = b.input([6]);
    b.output(b.node(full, [], [3], { scalars: [0], dtype: 'float32' }));
    const values = [
      b.node(full, [], [3], { scalars: [-0], dtype: 'float32' }),
      b.node(sum, [a], [3], { dims: [3, 2, 1, 2, 1, 0] }),
      b.node(sum, [a], [3], { dims: [3, 2, 1, 1, 3, 0] }),
      b.node(uniform, [], [3], { scalars: [0, 1], dtype: 'float32' }),
      b.node(uniform, [], [3], { scalars: [0, 1], dtype: 'float32' }),
    ];
    b.output(values.reduce((p, q) => b.node(mul, [p, q], [3])));
    expect(shareCommonSubexpressions(b.build()).nodes.length).toBe(b.build().nodes.length);
  });
});

describe('constant folding', () => {
  test('a gradient of ones is no operand any more', () => {
    const b = new GraphBuilder();
    const ones = b.node(full, [], [4], { scalars: [1], dtype: 'float32' });
    const wide = b.node(copy, [viewed(ones, [4, 1])], [4, 3]);
    b.output(b.node(mul, [b.input([4, 3]), wide], [4, 3]));
    const graph = removeDeadCode(foldConstants(b.build()));
    expect(opsOf(graph)).toBe('mul');
    expect(graph.nodes[0]?.kernel).toMatchObject({ expr: x, inputs: 1 });
  });

  test('sums and means of one number are numbers', () => {
    const b = new GraphBuilder();
    const ones = b.node(full, [], [4, 5], { scalars: [2], dtype: 'float32' });
    const mean = rowKernel('mean', 1, [{ combine: 'sum', load: x }], e.div(e.stage(0), e.scalar(0)), false);
    const [total, average] = [
      b.node(sum, [ones], [4], { dims: [4, 5, 1, 5, 1, 1] }),
      b.node(mean, [ones], [4], { dims: [4, 5, 1, 5, 1, 1], scalars: [5] }),
    ];
    const added = b.node(
      elementwiseKernel('add', 3, e.add(x, e.add(y, e.input(2)))),
      [b.input([4]), total, average],
      [4],
    );
    b.output(added);
    const graph = removeDeadCode(foldConstants(b.build()));
    expect(opsOf(graph)).toBe('add');
    expect(graph.nodes[0]?.kernel).toMatchObject({ expr: e.add(x, 12) });
  });

  test('a sum that float32 would round is left to the device', () => {
    const b = new GraphBuilder();
    const tenths = b.node(full, [], [4, 5], { scalars: [0.1], dtype: 'float32' });
    b.output(b.node(sum, [tenths], [4], { dims: [4, 5, 1, 5, 1, 1] }));
    expect(removeDeadCode(foldConstants(b.build())).nodes.length).toBe(2);
  });

  test('numbers are rounded to the dtype that held them, and whole ones converted', () => {
    const b = new GraphBuilder();
    const third = b.node(full, [], [2], { scalars: [1 / 3], dtype: 'float16' });
    const three = b.node(full, [], [2], { scalars: [3], dtype: 'int32' });
    const wide = b.node(copy, [three], [2], { dtype: 'float32' });
    const sums = b.node(
      elementwiseKernel('add', 3, e.add(x, e.add(y, e.input(2)))),
      [b.input([2]), third, wide],
      [2],
    );
    b.output(sums);
    const graph = removeDeadCode(foldConstants(b.build()));
    expect(graph.nodes.length).toBe(1);
    expect(graph.nodes[0]?.kernel).toMatchObject({ expr: e.add(x, Math.fround(3.333251953125)) });
  });

  test('a function is not left over a number alone; what else needs the value keeps it', () => {
    const b = new GraphBuilder();
    const two = b.node(full, [], [4], { scalars: [2], dtype: 'float32' });
    b.output(b.node(mul, [b.input([4]), b.node(exp, [two], [4])], [4]));
    expect(opsOf(removeDeadCode(foldConstants(b.build())))).toBe('full exp mul');
    const c = new GraphBuilder();
    const ones = c.node(full, [], [4, 4], { scalars: [1], dtype: 'float32' });
    const dims = [1, 4, 4, 4, 0, 0];
    c.output(c.node(productKernel('matmul', 'matmul'), [c.input([4, 4]), ones], [4, 4], { dims }));
    expect(opsOf(removeDeadCode(foldConstants(c.build())))).toBe('full matmul');
  });

  test('a constant that is one number everywhere counts', () => {
    const b = new GraphBuilder();
    const same = b.constant([3], Float32Array.of(4, 4, 4));
    const other = b.constant([3], Float32Array.of(4, 4, 5));
    b.output(b.node(mul, [b.input([3]), same], [3]));
    b.output(b.node(mul, [b.input([3]), other], [3]));
    expect(foldConstants(b.build()).nodes.map((n) => n.inputs.length)).toEqual([1, 2]);
  });
});

describe('copies', () => {
  test('readers read what was copied', () => {
    const b = new GraphBuilder();
    const a = b.input([2, 3]);
    const same = b.node(strided, [a], [3, 2], { dims: [2, 0, 0, 3, 2, 2, 1, 2, 1] });
    b.output(b.node(exp, [b.node(copy, [same], [3, 2])], [3, 2]));
    const graph = removeCopies(b.build());
    expect(opsOf(graph)).toBe('exp');
    expect(graph.nodes[0]?.inputs[0]?.value).toBe(a.value);
  });

  test('an output is made in its place; copies of inputs stay', () => {
    const b = new GraphBuilder();
    const state = b.input([3]);
    const made = b.node(exp, [state], [3]);
    const out = b.node(copy, [made], [3]);
    b.output(out, state);
    b.output(b.node(copy, [b.input([3])], [3]));
    b.output(b.node(mul, [made, made], [3]));
    const graph = removeCopies(b.build());
    expect(opsOf(graph)).toBe('exp copy mul');
    expect(graph.outputs[0]).toBe(out.value);
    expect(graph.nodes[2]?.inputs[0]?.value).toBe(out.value);
  });

  test('what moves, converts or takes a part is no copy', () => {
    const b = new GraphBuilder();
    const a = b.input([2, 3]);
    const moved = b.node(strided, [a], [3, 2], { dims: [2, 0, 0, 3, 2, 1, 3, 2, 1] });
    const part = b.node(strided, [a], [3], { dims: [1, 0, 0, 3, 1, 1] });
    const whole = b.node(copy, [a], [2, 3], { dtype: 'int32' });
    for (const v of [moved, part, whole]) b.output(b.node(exp, [v], v.shape, { dtype: 'float32' }));
    expect(removeCopies(b.build()).nodes.length).toBe(6);
  });
});

describe('batch norm', () => {
  const affine = elementwiseKernel('norm', 3, e.add(e.mul(x, y), e.input(2)));
  const dims = [1, 2, 4, 1, 1, 3, 3, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0];
  function net(stable: boolean, vectors: boolean, bias = false): Graph {
    const b = new GraphBuilder();
    const parameters = [
      b.input([4, 2, 1, 1], 'float32', stable),
      ...(bias ? [b.input([4], 'float32', stable)] : []),
    ];
    const kernel = productKernel('conv', 'conv', { bias: bias ? 'm' : 'none' });
    const conv = b.node(kernel, [b.input([1, 2, 3, 3]), ...parameters], [1, 4, 3, 3], { dims });
    const [scale, shift] = [b.input([4], 'float32', true), b.input([4], 'float32', vectors)];
    const shape = [1, 4, 1, 1];
    b.output(b.node(affine, [conv, viewed(scale, shape), viewed(shift, shape)], conv.shape));
    return b.build();
  }

  test('goes into weight and bias where no run changes them', () => {
    for (const bias of [false, true]) {
      const graph = foldBatchNorm(net(true, true, bias));
      expect(opsOf(graph)).toBe('foldBatchNorm foldBatchNorm conv+norm');
      expect(graph.nodes[2]?.kernel).toMatchObject({ bias: 'm', epilogue: null });
      const steady = steadyValues(graph);
      expect(graph.nodes.map((n) => steady.has(n.outputs[0]?.value ?? -1))).toEqual([true, true, false]);
    }
  });

  test('stays where they change', () => {
    expect(opsOf(foldBatchNorm(net(false, true)))).toBe('conv norm');
    expect(opsOf(foldBatchNorm(net(true, false)))).toBe('conv norm');
  });

  test('what is no line in the result stays', () => {
    const b = new GraphBuilder();
    const weight = b.input([4, 2, 1, 1], 'float32', true);
    const conv = b.node(productKernel('conv', 'conv'), [b.input([1, 2, 3, 3]), weight], [1, 4, 3, 3], {
      dims,
    });
    const scale = viewed(b.input([4], 'float32', true), [1, 4, 1, 1]);
    b.output(b.node(elementwiseKernel('max', 2, e.max(x, y)), [conv, scale], conv.shape));
    b.output(b.node(elementwiseKernel('square', 2, e.mul(e.mul(x, y), x)), [conv, scale], conv.shape));
    expect(opsOf(foldBatchNorm(b.build()))).toBe('conv max square');
  });
});

describe('order', () => {
  test('nodes wait for what they need, and otherwise stay; draws keep theirs', () => {
    const b = new GraphBuilder();
    const a = b.input([3]);
    const first = b.node(uniform, [], [3], { scalars: [0, 1], dtype: 'float32' });
    const second = b.node(uniform, [], [3], { scalars: [0, 2], dtype: 'float32' });
    b.node(mul, [first, a], [3]);
    b.node(mul, [second, a], [3], { ops: ['late'] });
    const [u1, u2, m1, m2] = b.build().nodes as [
      Graph['nodes'][0],
      Graph['nodes'][0],
      Graph['nodes'][0],
      Graph['nodes'][0],
    ];
    // the second draw is needed first, but the first draw comes before it
    const order = sorted([m2, u1, u2, m1]);
    expect(order.map((n) => n.ops.join())).toEqual(['randomUniform', 'randomUniform', 'late', 'mul']);
    expect(order[0]).toBe(u1);
  });

  test('a circle is told', () => {
    const b = new GraphBuilder();
    const a = b.input([3]);
    const p = b.node(exp, [a], [3]);
    const q = b.node(exp, [p], [3]);
    const [first, second] = b.build().nodes as [Graph['nodes'][0], Graph['nodes'][0]];
    expect(() => sorted([{ ...first, inputs: [q] }, second])).toThrow('circle');
  });
});

test('what depends on parameters alone is steady, but for scalars that come with a run and draws', () => {
  const b = new GraphBuilder();
  b.scalars = 1;
  const [w, a] = [b.input([3], 'float32', true), b.input([3])];
  const scale = elementwiseKernel('scale', 1, e.mul(x, e.scalar(0)));
  const values = [
    b.node(scale, [w], [3], { scalars: [2] }),
    b.node(scale, [w], [3], { scalars: [{ slot: 0 }] }),
    b.node(scale, [a], [3], { scalars: [2] }),
    b.node(uniform, [], [3], { scalars: [0, 1], dtype: 'float32' }),
    b.node(full, [], [3], { scalars: [0], dtype: 'float32' }),
  ];
  const steady = steadyValues(b.build());
  expect(values.map((v) => steady.has(v.value))).toEqual([true, false, false, false, true]);
});
