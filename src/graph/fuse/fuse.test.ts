// Each fusion by itself: what becomes one kernel, and what stays apart because a value is needed elsewhere, numbers would change or a kernel could not have it.
import { describe, expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { stridesOf } from '../../core/shape.ts';
import { type Expr, e } from '../../ir/expr.ts';
import type { Graph, GraphNode, GraphOperand } from '../../ir/graph.ts';
import { customKernel, elementwiseKernel, productKernel, rowKernel } from '../../ir/kernel.ts';
import { faultsOf, GraphBuilder, viewed } from '../testGraphs.ts';
import { fuseLoads, fuseStores } from './elementwise.ts';
import type { Limits } from './expressions.ts';
import { fuseHorizontally } from './horizontal.ts';
import { fuseOperands } from './operands.ts';
import { fuseRowSums } from './rowSum.ts';
import { fuseRows } from './rows.ts';

const cpu: Limits = { kind: 'cpu', maxBindings: 12 };
const gpu: Limits = { kind: 'gpu', maxBindings: 8 };
const [x, y, z] = [e.input(0), e.input(1), e.input(2)];
const unary = (name: string, f: Expr) => elementwiseKernel(name, 1, f);
const exp = unary('exp', e.exp(x));
const relu = unary('relu', e.max(x, 0));
const neg = unary('neg', e.neg(x));
const add = elementwiseKernel('add', 2, e.add(x, y));
const mul = elementwiseKernel('mul', 2, e.mul(x, y));
const copy = elementwiseKernel('copy', 1, x);
const sum = rowKernel('sum', 1, [{ combine: 'sum', load: x }], e.stage(0), false);
const strided = customKernel('stridedCopy');
const matmul = productKernel('matmul', 'matmul');

/** `matmul+relu exp`: the operations, a node each. */
function opsOf(graph: Graph): string {
  expect(faultsOf(graph)).toBe('');
  return graph.nodes.map((n) => n.ops.join('+')).join(' ');
}

function only(graph: Graph): GraphNode {
  expect(faultsOf(graph)).toBe('');
  expect(graph.nodes.length).toBe(1);
  return graph.nodes[0] as GraphNode;
}

/** A matrix product of new inputs, (m, k)·(k, n). */
function product(b: GraphBuilder, m: number, n: number, k = 3, dtype: DType = 'float32'): GraphOperand {
  return b.node(matmul, [b.input([m, k], dtype), b.input([k, n], dtype)], [m, n], {
    dims: [1, m, n, k, 0, 0],
  });
}

function transposed(b: GraphBuilder, v: GraphOperand, axes: readonly number[]): GraphOperand {
  const own = stridesOf(v.shape);
  const shape = axes.map((a) => v.shape[a] as number);
  const dims = [axes.length, 0, 0, ...shape, ...axes.map((a) => own[a] as number), ...stridesOf(shape)];
  return b.node(strided, [v], shape, { dims, ops: ['transpose'] });
}

describe('into loads', () => {
  test('chains and trees become one kernel, shared parts once', () => {
    const b = new GraphBuilder();
    const [p, q] = [b.input([4, 3]), b.input([3])];
    const scaled = b.node(unary('scale', e.mul(x, e.scalar(0))), [p], [4, 3], { scalars: [2] });
    const both = b.node(mul, [b.node(exp, [scaled], [4, 3]), b.node(neg, [q], [3])], [4, 3]);
    b.output(b.node(add, [both, p], [4, 3]));
    const node = only(fuseLoads(b.build(), cpu));
    expect(node.kernel).toMatchObject({
      expr: e.add(e.mul(e.exp(e.mul(x, e.scalar(0))), e.neg(y)), x),
      inputs: 2,
    });
    expect(node.inputs.map((i) => i.shape)).toEqual([[4, 3], [3]]);
    expect(node.scalars).toEqual([2]);
    expect(node.dims).toEqual([]);
  });

  test('what several read, or an output is, is not computed again', () => {
    const b = new GraphBuilder();
    const p = b.input([4]);
    const shared = b.node(exp, [p], [4]);
    b.output(b.node(add, [shared, p], [4]));
    b.output(b.node(mul, [shared, p], [4]));
    const out = b.node(neg, [p], [4]);
    b.output(out);
    b.output(b.node(exp, [out], [4]));
    expect(fuseLoads(b.build(), gpu).nodes.length).toBe(5);
  });

  test('numbers stay what they are: no dtype is left out, no other numbers computed in', () => {
    for (const dtype of ['float16', 'int32', 'bool'] as const) {
      const b = new GraphBuilder();
      const narrow = b.node(exp, [b.input([4])], [4], { dtype });
      b.output(b.node(unary('half', e.mul(x, 0.5)), [narrow], [4], { dtype: 'float32' }));
      expect(fuseLoads(b.build(), gpu).nodes.length, dtype).toBe(2);
    }
    // a condition of whole numbers beside floats
    const b = new GraphBuilder();
    const test = b.node(add, [b.input([4], 'int32'), b.input([4], 'int32')], [4]);
    b.output(
      b.node(elementwiseKernel('where', 2, e.select(x, y, 0), 1), [test, b.input([4])], [4], {
        dtype: 'float32',
      }),
    );
    expect(fuseLoads(b.build(), gpu).nodes.length).toBe(2);
  });

  test('a conversion goes into the load of who computes in what it converts to', () => {
    const b = new GraphBuilder();
    const wide = b.node(copy, [b.input([4], 'uint8')], [4], { dtype: 'float32' });
    b.output(b.node(unary('scale', e.div(x, 255)), [wide], [4]));
    const node = only(fuseLoads(b.build(), cpu));
    expect(node.inputs[0]?.dtype).toBe('uint8');
    expect(node.kernel).toMatchObject({ computeFrom: -1 });
  });

  test('an index counts the same elements or stays', () => {
    const iota = elementwiseKernel('iota', 1, e.add(x, e.index));
    const b = new GraphBuilder();
    b.output(b.node(neg, [viewed(b.node(iota, [b.input([4])], [4]), [2, 2])], [2, 2]));
    only(fuseLoads(b.build(), cpu));
    const c = new GraphBuilder();
    c.output(c.node(add, [c.node(iota, [c.input([4])], [4]), c.input([3, 4])], [3, 4]));
    expect(fuseLoads(c.build(), gpu).nodes.length).toBe(2);
  });

  test('transpositions, slices and repeats are read by strides', () => {
    const b = new GraphBuilder();
    const turned = transposed(b, b.input([3, 4]), [1, 0]);
    b.output(b.node(add, [turned, b.input([4, 3])], [4, 3]));
    expect(only(fuseLoads(b.build(), gpu)).dims).toEqual([2, 4, 3, 0, 1, 4, 0, 3, 1]);
    const c = new GraphBuilder();
    const flipped = c.node(strided, [c.input([6])], [3], { dims: [1, 5, 0, 3, -2, 1] });
    c.output(c.node(exp, [flipped], [3]));
    expect(only(fuseLoads(c.build(), gpu)).dims).toEqual([1, 3, 5, -2]);
    const d = new GraphBuilder();
    const wide = d.node(copy, [d.input([3])], [2, 3]);
    d.output(d.node(add, [wide, d.input([2, 3])], [2, 3]));
    const node = only(fuseLoads(d.build(), gpu));
    expect([node.dims, node.inputs[0]?.shape]).toEqual([[], [3]]);
  });

  test('rows take what comes before, by their own strides', () => {
    const b = new GraphBuilder();
    const scaled = b.node(mul, [b.input([4, 3, 2]), b.input([3, 1])], [4, 3, 2]);
    b.output(b.node(sum, [scaled], [4, 2], { dims: [4, 3, 2, 6, 2, 1] }));
    const node = only(fuseLoads(b.build(), cpu));
    expect(node.kernel).toMatchObject({ kind: 'row', stages: [{ combine: 'sum', load: e.mul(x, y) }] });
    expect(node.dims).toEqual([4, 3, 2, 6, 2, 1, 0, 1, 0]);
  });

  test('what costs is not computed for each stage, nor for each element that repeats it', () => {
    const twice = rowKernel(
      'softmax',
      1,
      [
        { combine: 'max', load: x },
        { combine: 'sum', load: e.sub(x, e.stage(0)) },
      ],
      e.mul(x, e.stage(1)),
      true,
    );
    const b = new GraphBuilder();
    const dims = [64, 64, 1, 64, 1, 0];
    b.output(b.node(twice, [b.node(exp, [b.input([64, 64])], [64, 64])], [64, 64], { dims }));
    expect(fuseLoads(b.build(), gpu).nodes.length).toBe(2);
    const c = new GraphBuilder();
    c.output(c.node(add, [c.node(exp, [c.input([64])], [64]), c.input([64, 64])], [64, 64]));
    expect(fuseLoads(c.build(), gpu).nodes.length).toBe(2);
  });

  test('functions with other digits in large arrays stay in arrays of their size, on a CPU', () => {
    const b = new GraphBuilder();
    const few = b.node(exp, [b.input([16])], [16]);
    b.output(b.node(sum, [viewed(few, [16])], [1024], { dims: [1024, 16, 1, 0, 1, 0] }));
    expect(fuseLoads(b.build(), cpu).nodes.length).toBe(2);
  });

  test('what parameters alone decide stays out of what runs each time', () => {
    const b = new GraphBuilder();
    const weight = b.node(neg, [b.input([4], 'float32', true)], [4]);
    b.output(b.node(add, [weight, b.input([4])], [4]));
    expect(fuseLoads(b.build(), cpu).nodes.length).toBe(2);
  });

  test('no kernel gets more operands than it may have', () => {
    const b = new GraphBuilder();
    let total = b.input([4]);
    for (let i = 0; i < 12; i++) total = b.node(add, [total, b.input([4])], [4]);
    b.output(total);
    const graph = fuseLoads(b.build(), gpu);
    expect(graph.nodes.map((n) => n.inputs.length + n.outputs.length)).toEqual([8, 8]);
  });

  test("what becomes a product's own operand is not put into its end", () => {
    const b = new GraphBuilder();
    const left = b.node(relu, [b.input([2, 3])], [2, 3]);
    b.output(b.node(matmul, [left, b.input([3, 2])], [2, 2], { dims: [1, 2, 2, 3, 0, 0] }));
    expect(fuseLoads(b.build(), gpu).nodes.length).toBe(2);
  });
});

describe('into stores', () => {
  test('bias, activation and residual go into a product', () => {
    const b = new GraphBuilder();
    const biased = b.node(add, [product(b, 4, 5), b.input([5])], [4, 5]);
    const scaled = b.node(mul, [biased, b.input([4, 1])], [4, 5]);
    const both = b.node(add, [scaled, b.input([4, 5])], [4, 5]);
    b.output(b.node(relu, [b.node(mul, [both, b.input([1])], [4, 5])], [4, 5]));
    const node = only(fuseStores(b.build(), gpu));
    expect(node.kernel).toMatchObject({ kind: 'product', extras: ['n', 'm', 'full', 'one'] });
    expect(node.kernel).toMatchObject({
      epilogue: e.max(e.mul(e.add(e.mul(e.add(x, y), z), e.input(3)), e.input(4)), 0),
    });
  });

  test('channels of a convolution, under whatever shape', () => {
    const b = new GraphBuilder();
    const dims = [2, 3, 4, 1, 1, 5, 5, 1, 3, 3, 1, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0, 0];
    const conv = b.node(
      productKernel('conv', 'conv'),
      [b.input([2, 3, 5, 5]), b.input([4, 3, 3, 3])],
      [2, 4, 3, 3],
      { dims },
    );
    const flat = b.node(mul, [viewed(conv, [2, 4, 9]), b.input([1, 4, 1])], [2, 4, 9]);
    b.output(b.node(add, [viewed(flat, [2, 4, 3, 3]), b.input([4, 1, 1])], [2, 4, 3, 3]));
    expect(only(fuseStores(b.build(), gpu)).kernel).toMatchObject({ extras: ['m', 'm'] });
  });

  test('rows of each matrix of a batch are no extra; what is moved, repeated or of another dtype is none', () => {
    const refused: ((b: GraphBuilder, v: GraphOperand) => void)[] = [
      (b, v) => b.output(b.node(add, [viewed(v, [2, 2, 5]), b.input([2, 2, 1])], [2, 2, 5])),
      (b, v) => b.output(b.node(add, [v, viewed(v, [1, 4, 5])], [2, 4, 5])),
      (b, v) => b.output(b.node(copy, [v], [4, 5], { dtype: 'int32' })),
      (b, v) => b.output(b.node(add, [v, b.node(copy, [b.input([4, 5], 'int32')], [4, 5])], [4, 5])),
      (b, v) => b.output(b.node(unary('index', e.add(x, e.index)), [v], [4, 5])),
      (b, v) => {
        b.output(v);
        b.output(b.node(relu, [v], [4, 5]));
      },
    ];
    refused.forEach((follow, i) => {
      const b = new GraphBuilder();
      const batched = i === 0;
      const v = batched
        ? b.node(matmul, [b.input([2, 2, 3]), b.input([2, 3, 5])], [2, 2, 5], { dims: [2, 2, 5, 3, 6, 15] })
        : product(b, 4, 5);
      follow(b, v);
      const graph = fuseStores(b.build(), gpu);
      expect(
        graph.nodes.map((n) => n.ops.join('+')),
        `case ${i}`,
      ).toContain('matmul');
    });
  });

  test('float16 results are rounded where they were: choices may come before, sums not', () => {
    for (const [kernel, count] of [
      [relu, 1],
      [unary('twice', e.add(x, x)), 2],
    ] as const) {
      const b = new GraphBuilder();
      b.output(b.node(kernel, [product(b, 4, 5, 3, 'float16')], [4, 5]));
      expect(fuseStores(b.build(), gpu).nodes.length).toBe(count);
    }
    const b = new GraphBuilder();
    const mask = elementwiseKernel('reluGrad', 2, e.select(e.gt(y, 0), x, 0));
    b.output(b.node(mask, [product(b, 4, 5, 3, 'float16'), b.input([4, 5], 'float16')], [4, 5]));
    only(fuseStores(b.build(), gpu));
  });

  test('pooling takes what follows, with operands of its shape', () => {
    const dims = [2, 1, 4, 4, 1, 2, 2, 1, 2, 2, 1, 2, 2, 0, 0, 0, 0];
    const b = new GraphBuilder();
    const data = b.input([1, 2, 4, 4]);
    const back = b.node(customKernel('poolMaxGrad'), [data, b.input([1, 2, 2, 2])], [1, 2, 4, 4], { dims });
    b.output(
      b.node(elementwiseKernel('reluGrad', 2, e.select(e.gt(y, 0), x, 0)), [back, data], [1, 2, 4, 4]),
    );
    const node = only(fuseStores(b.build(), gpu));
    expect(node.kernel).toMatchObject({ name: 'poolMaxGrad', epilogue: e.select(e.gt(y, 0), x, 0) });
    expect(node.inputs.map((i) => i.value)).toEqual([data.value, 1, data.value]);
    const c = new GraphBuilder();
    const pooled = c.node(customKernel('poolMax'), [c.input([1, 2, 4, 4])], [1, 2, 2, 2], { dims });
    c.output(c.node(add, [pooled, c.input([2, 1, 1])], [1, 2, 2, 2]));
    expect(fuseStores(c.build(), gpu).nodes.length).toBe(2);
  });

  test('rows store what follows, one each or for each element', () => {
    const b = new GraphBuilder();
    const total = b.node(sum, [b.input([4, 3])], [4], { dims: [4, 3, 1, 3, 1, 0] });
    const negated = viewed(b.node(neg, [total], [4]), [2, 2]);
    b.output(b.node(add, [negated, b.input([2, 2])], [2, 2]));
    const node = only(fuseStores(b.build(), cpu));
    expect(node.kernel).toMatchObject({ store: e.add(e.neg(e.stage(0)), y), perElement: false });
    expect(node.dims.slice(6)).toEqual([1, 0, 0]);
    const c = new GraphBuilder();
    const each = rowKernel('centre', 1, [{ combine: 'sum', load: x }], e.sub(x, e.stage(0)), true);
    const rows = c.node(each, [c.input([4, 3, 2])], [4, 3, 2], { dims: [4, 3, 2, 6, 2, 1] });
    c.output(c.node(mul, [rows, c.input([3, 1])], [4, 3, 2]));
    expect(only(fuseStores(c.build(), cpu)).dims.slice(6)).toEqual([0, 1, 0]);
  });
});

describe('rows that go on', () => {
  test("what uses a row's result beside its elements, and the next reduction of the same rows", () => {
    const b = new GraphBuilder();
    const data = b.input([4, 3]);
    const dims = [4, 3, 1, 3, 1, 0];
    const mean = b.node(
      rowKernel('mean', 1, [{ combine: 'sum', load: x }], e.div(e.stage(0), e.length), false),
      [data],
      [4],
      { dims },
    );
    const squares = rowKernel(
      'squares',
      2,
      [{ combine: 'sum', load: e.mul(e.sub(x, y), e.sub(x, y)) }],
      e.stage(0),
      false,
    );
    b.output(b.node(squares, [data, mean], [4], { dims: [...dims, 1, 0, 0] }));
    const node = only(fuseRows(b.build(), cpu));
    const deviation = e.sub(x, e.div(e.stage(0), e.length));
    expect(node.kernel).toMatchObject({
      stages: [{ load: x }, { load: e.mul(deviation, deviation) }],
      store: e.stage(1),
      inputs: 1,
    });
    const c = new GraphBuilder();
    const given = c.input([4, 3]);
    const total = c.node(sum, [given], [4], { dims });
    c.output(c.node(elementwiseKernel('div', 2, e.div(x, y)), [given, viewed(total, [4, 1])], [4, 3]));
    expect(only(fuseRows(c.build(), cpu)).kernel).toMatchObject({
      perElement: true,
      store: e.div(x, e.stage(0)),
    });
  });

  test('other rows stay apart', () => {
    const b = new GraphBuilder();
    const data = b.input([3, 3]);
    const total = b.node(sum, [data], [3], { dims: [3, 3, 1, 3, 1, 0] });
    b.output(b.node(elementwiseKernel('div', 2, e.div(x, y)), [data, viewed(total, [1, 3])], [3, 3]));
    expect(fuseRows(b.build(), cpu).nodes.length).toBe(2);
  });
});

describe('row sums', () => {
  function dense(transposeA: boolean, sums: readonly number[]): Graph {
    const b = new GraphBuilder();
    const dy = b.input([6, 4]);
    const kernel = productKernel('matmul', 'matmul', { transposeA });
    const [m, k] = transposeA ? [4, 6] : [6, 4];
    b.output(b.node(kernel, [dy, b.input([k, 5])], [m, 5], { dims: [1, m, 5, k, 0, 0] }));
    b.output(b.node(sum, [dy], [m], { dims: sums }));
    return b.build();
  }

  test("a bias's gradient rides in its weight's kernel", () => {
    for (const graph of [dense(true, [1, 6, 4, 24, 4, 1]), dense(false, [6, 4, 1, 4, 1, 1])]) {
      const node = only(fuseRowSums(graph, gpu));
      expect(node.kernel).toMatchObject({ rowSum: true });
      expect(node.outputs.map((o) => o.value)).toEqual(graph.outputs);
    }
  });

  test('other sums of the same value do not', () => {
    expect(fuseRowSums(dense(true, [6, 4, 1, 4, 1, 1]), gpu).nodes.length).toBe(2);
    expect(fuseRowSums(dense(false, [1, 6, 4, 24, 4, 1]), gpu).nodes.length).toBe(2);
  });

  test.each([1, 2])('of a convolution, over places and then %i samples', (samples) => {
    const b = new GraphBuilder();
    const dims = [samples, 3, 4, 1, 1, 5, 5, 1, 3, 3, 1, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0, 0];
    const dy = b.input([samples, 4, 3, 3]);
    const each = b.node(sum, [dy], [samples, 4], { dims: [4 * samples, 9, 1, 9, 1, 1] });
    b.output(b.node(sum, [each], [4], { dims: [1, samples, 4, 4 * samples, 4, 1] }));
    b.output(
      b.node(productKernel('grad', 'convGradWeight'), [dy, b.input([samples, 3, 5, 5])], [4, 3, 3, 3], {
        dims,
      }),
    );
    const node = only(fuseRowSums(b.build(), gpu));
    expect(node.outputs.map((o) => o.shape)).toEqual([[4, 3, 3, 3], [4]]);
  });

  test('a product that needs the sum cannot give it', () => {
    const b = new GraphBuilder();
    const dy = b.input([6, 4]);
    const total = b.node(sum, [dy], [4], { dims: [1, 6, 4, 24, 4, 1] });
    const right = b.node(add, [b.input([6, 5]), b.node(copy, [total], [4])], [6, 5]);
    const kernel = productKernel('matmul', 'matmul', { transposeA: true });
    b.output(b.node(kernel, [dy, right], [4, 5], { dims: [1, 4, 5, 6, 0, 0] }));
    expect(fuseRowSums(b.build(), gpu).nodes.length).toBe(4);
  });
});

describe('operands', () => {
  test('a transposed matrix is a flag', () => {
    const b = new GraphBuilder();
    const [left, right] = [transposed(b, b.input([3, 2]), [1, 0]), transposed(b, b.input([4, 3]), [1, 0])];
    b.output(b.node(matmul, [left, right], [2, 4], { dims: [1, 2, 4, 3, 0, 0] }));
    const node = only(fuseOperands(b.build()));
    expect(node.kernel).toMatchObject({ transposeA: true, transposeB: true });
    expect(node.dims).toEqual([1, 2, 4, 3, 0, 0]);
  });

  test('heads are read and stored where they lie', () => {
    const b = new GraphBuilder();
    const heads = (v: GraphOperand): GraphOperand =>
      viewed(transposed(b, viewed(v, [2, 5, 3, 4]), [0, 2, 1, 3]), [6, 5, 4]);
    const scores = b.node(
      productKernel('matmul', 'matmul', { transposeB: true }),
      [heads(b.input([2, 5, 12])), heads(b.input([2, 5, 12]))],
      [6, 5, 5],
      {
        dims: [6, 5, 5, 4, 20, 20],
      },
    );
    const mixed = b.node(matmul, [scores, heads(b.input([2, 5, 12]))], [6, 5, 4], {
      dims: [6, 5, 4, 5, 25, 20],
    });
    b.output(transposed(b, viewed(mixed, [2, 3, 5, 4]), [0, 2, 1, 3]));
    const graph = fuseOperands(b.build());
    expect(opsOf(graph)).toBe('transpose+transpose+matmul transpose+matmul+transpose');
    expect(graph.nodes[0]?.dims).toEqual([6, 5, 5, 4, 60, 60, 3, 4, 4, 12, 12, 75, 25, 5]);
    expect(graph.nodes[1]?.dims).toEqual([6, 5, 4, 5, 75, 60, 3, 25, 4, 5, 12, 60, 4, 12]);
  });

  test('what follows a product that stores out of order lies in another order', () => {
    const b = new GraphBuilder();
    const dims = [6, 5, 4, 5, 25, 20];
    const mixed = b.node(matmul, [b.input([6, 5, 5]), b.input([6, 5, 4])], [6, 5, 4], { dims });
    const stored = transposed(b, viewed(mixed, [2, 3, 5, 4]), [0, 2, 1, 3]);
    const scaled = b.node(mul, [stored, b.input([1])], [2, 5, 3, 4]);
    b.output(b.node(add, [scaled, b.input([2, 5, 3, 4])], [2, 5, 3, 4]));
    expect(opsOf(fuseStores(fuseOperands(b.build()), gpu))).toBe('matmul+transpose+mul add');
  });

  test('a matrix that begins inside an array is copied out', () => {
    const b = new GraphBuilder();
    const part = b.node(strided, [b.input([4, 3])], [2, 3], { dims: [2, 6, 0, 2, 3, 3, 1, 3, 1] });
    b.output(b.node(matmul, [part, b.input([3, 2])], [2, 2], { dims: [1, 2, 2, 3, 0, 0] }));
    expect(fuseOperands(b.build()).nodes.length).toBe(2);
  });

  test('a matrix without neighbours in rows or columns is copied, and what others read as it is', () => {
    const b = new GraphBuilder();
    const spread = b.node(strided, [b.input([24])], [2, 3], { dims: [2, 0, 0, 2, 3, 12, 4, 3, 1] });
    b.output(b.node(matmul, [spread, b.input([3, 2])], [2, 2], { dims: [1, 2, 2, 3, 0, 0] }));
    expect(fuseOperands(b.build()).nodes.length).toBe(2);
    const c = new GraphBuilder();
    const turned = transposed(c, c.input([3, 2]), [1, 0]);
    c.output(c.node(matmul, [turned, c.input([3, 2])], [2, 2], { dims: [1, 2, 2, 3, 0, 0] }));
    c.output(c.node(customKernel('cumsum'), [turned], [2, 3], { dims: [2, 3, 1, 0, 0] }));
    expect(fuseOperands(c.build()).nodes.length).toBe(3);
  });
});

describe('side by side', () => {
  test('a value that others need comes out beside what is made of it', () => {
    const b = new GraphBuilder();
    const p = b.input([4]);
    const kept = b.node(exp, [p], [4]);
    b.output(b.node(mul, [kept, p], [4]));
    b.output(kept);
    const graph = b.build();
    const node = only(fuseHorizontally(graph, cpu));
    expect(node.outputs.map((o) => o.value)).toEqual([...graph.outputs].reverse());
    expect(node.kernel).toMatchObject({ expr: e.exp(x), others: [e.mul(e.exp(x), x)] });
  });

  test('small ones run together, large ones only where they read the same', () => {
    const pair = (size: number, same: boolean): number => {
      const b = new GraphBuilder();
      const [p, q] = [b.input([size]), b.input([size])];
      b.output(b.node(exp, [p], [size]));
      b.output(b.node(neg, [same ? p : q], [size]));
      return fuseHorizontally(b.build(), gpu).nodes.length;
    };
    expect([pair(64, false), pair(65536, false), pair(65536, true)]).toEqual([1, 2, 1]);
  });

  test('no circle comes about', () => {
    const b = new GraphBuilder();
    const p = b.input([4]);
    const kept = b.node(exp, [p], [4]);
    const sums = b.node(customKernel('cumsum'), [kept], [4], { dims: [1, 4, 1, 0, 0] });
    b.output(b.node(mul, [kept, sums], [4]));
    expect(opsOf(fuseHorizontally(b.build(), gpu))).toBe('exp cumsum mul');
  });

  test('other sizes, dtypes and what parameters alone decide stay apart', () => {
    const b = new GraphBuilder();
    b.output(b.node(exp, [b.input([4])], [4]));
    b.output(b.node(exp, [b.input([5])], [5]));
    b.output(b.node(exp, [b.input([4], 'float64')], [4]));
    b.output(b.node(exp, [b.input([4], 'float32', true)], [4]));
    expect(fuseHorizontally(b.build(), gpu).nodes.length).toBe(4);
  });
});
