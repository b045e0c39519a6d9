// A seeded generator of random graphs, of the kinds of kernels that operations emit, and of bytes for their inputs. Numbers are small and whole, and what could grow is clipped, so that
// sums are exact in float32 and every order of summing gives the same bits; `smooth` graphs have exponentials and the like instead, and are compared within a tolerance.
import type { DType } from '../core/dtype.ts';
import { sizeOf, stridesOf } from '../core/shape.ts';
import type { Expr } from '../ir/expr.ts';
import { e } from '../ir/expr.ts';
import type { Graph, GraphOperand } from '../ir/graph.ts';
import type { Stage } from '../ir/kernel.ts';
import { customKernel, elementwiseKernel, productKernel, rowKernel, updateKernel } from '../ir/kernel.ts';
import { GraphBuilder, viewed } from './testGraphs.ts';

export interface RandomGraphOptions {
  /** How many operations; 12 by default. */
  readonly steps?: number;
  /** Functions with rounded results; then values are to be compared within a tolerance. */
  readonly smooth?: boolean;
  /** Draws of random numbers. */
  readonly draws?: boolean;
  /** float64, which a GPU has not. */
  readonly doubles?: boolean;
}

export interface RandomGraph {
  readonly graph: Graph;
  /** The bytes of each input. */
  readonly inputs: readonly Uint8Array[];
  readonly scalars: readonly number[];
  readonly outputTypes: readonly DType[];
}

/** Repeatable numbers in [0, 1): Mulberry32. */
export function stream(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const [x, y, z] = [e.input(0), e.input(1), e.input(2)];
const copyKernel = elementwiseKernel('copy', 1, x);
const fill = elementwiseKernel('full', 0, e.scalar(0), -1);
const zero = elementwiseKernel('zero', 0, e.constant(0), -1);
const iota = elementwiseKernel('iota', 0, e.index, -1);
const strided = customKernel('stridedCopy');
const sumStage: Stage = { combine: 'sum', load: x };
const sumRows = rowKernel('sum', 1, [sumStage], e.stage(0), false);
const clipKernel = elementwiseKernel('clip', 1, e.min(e.max(e.rint(x), -4), 4));

const EXACT_UNARY: readonly Expr[] = [
  e.max(x, 0),
  e.neg(x),
  e.abs(x),
  e.sub(1, x),
  e.min(x, 2),
  e.select(e.gt(x, 0), x, e.mul(x, 2)),
  e.mul(x, 1),
  e.sign(x),
  e.not(x),
];
const SMOOTH_UNARY: readonly Expr[] = [
  e.max(x, 0),
  e.tanh(x),
  e.div(1, e.add(1, e.exp(e.neg(x)))),
  e.mul(x, 0.5),
  e.exp(e.min(x, 1)),
  e.sqrt(e.add(e.abs(x), 1)),
  e.log(e.add(e.abs(x), 1)),
  e.erf(x),
  e.mul(e.mul(0.5, x), e.add(1, e.erf(e.mul(x, Math.SQRT1_2)))),
];
const EXACT_BINARY: readonly Expr[] = [
  e.add(x, y),
  e.sub(x, y),
  e.max(x, y),
  e.min(x, y),
  e.select(e.gt(y, 0), x, 0),
  e.eq(x, y),
  e.mul(x, e.sign(y)),
  e.add(x, x),
];
const SMOOTH_BINARY: readonly Expr[] = [
  e.add(x, y),
  e.sub(x, y),
  e.mul(x, e.tanh(y)),
  e.max(x, y),
  e.div(x, e.add(1, e.abs(y))),
];
const DTYPES: readonly DType[] = ['float32', 'float32', 'float32', 'float32', 'int32', 'float16', 'float64'];

class Maker {
  readonly #b = new GraphBuilder();
  readonly #next: () => number;
  readonly #pool: GraphOperand[] = [];
  readonly #bytes: Uint8Array[] = [];
  readonly #smooth: boolean;
  readonly #draws: boolean;
  readonly #dtypes: readonly DType[];

  constructor(seed: number, options: RandomGraphOptions) {
    this.#next = stream(seed);
    this.#smooth = options.smooth ?? false;
    this.#draws = options.draws ?? true;
    this.#dtypes = DTYPES.filter((dtype) => dtype !== 'float64' || options.doubles !== false);
  }

  #int(low: number, high: number): number {
    return low + Math.floor(this.#next() * (high - low + 1));
  }

  #chance(p: number): boolean {
    return this.#next() < p;
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#int(0, list.length - 1)] as T;
  }

  #input(shape: readonly number[], dtype: DType = 'float32', stable = this.#chance(0.4)): GraphOperand {
    const made = this.#b.input(shape, dtype, stable);
    const n = sizeOf(shape);
    const values = Array.from({ length: n }, () => (this.#smooth ? this.#next() * 4 - 2 : this.#int(-3, 3)));
    const array =
      dtype === 'float32'
        ? Float32Array.from(values)
        : dtype === 'float64'
          ? Float64Array.from(values)
          : dtype === 'int32'
            ? Int32Array.from(values)
            : new Uint8Array(n * 2);
    this.#bytes.push(new Uint8Array(array.buffer));
    return made;
  }

  /** Keeps numbers small. */
  #tame(v: GraphOperand): GraphOperand {
    if (this.#smooth)
      return this.#chance(0.5)
        ? v
        : this.#b.node(elementwiseKernel('scale', 1, e.mul(x, e.scalar(0))), [v], v.shape, {
            scalars: [0.25],
          });
    return this.#b.node(clipKernel, [v], v.shape);
  }

  #keep(v: GraphOperand): GraphOperand {
    this.#pool.push(v);
    return v;
  }

  #any(dtype: DType | null = 'float32', min = 0): GraphOperand {
    const fitting = this.#pool.filter((v) => (dtype === null || v.dtype === dtype) && sizeOf(v.shape) >= min);
    // what is new is fused more often
    if (fitting.length === 0) return this.#keep(this.#input([2, 3, 4], dtype ?? 'float32'));
    return this.#chance(0.6) ? (fitting[fitting.length - 1] as GraphOperand) : this.#pick(fitting);
  }

  /** An operand that broadcasts to a shape: made by something that has been, if there is. */
  #partner(shape: readonly number[], dtype: DType): GraphOperand {
    const same = this.#pool.filter((v) => v.dtype === dtype && sizeOf(v.shape) === sizeOf(shape));
    if (same.length > 0 && this.#chance(0.5)) return viewed(this.#pick(same), shape);
    if (this.#chance(0.3))
      return this.#b.node(fill, [], this.#chance(0.5) ? shape : [1], { scalars: [this.#int(0, 2)], dtype });
    const own = shape.map((d) => (this.#chance(0.5) ? d : 1));
    const begin = this.#chance(0.3) ? this.#int(0, shape.length) : 0;
    return this.#input(own.slice(begin), dtype);
  }

  /** A view of other extents. */
  #reshaped(v: GraphOperand): GraphOperand {
    const n = sizeOf(v.shape);
    const shapes = [[n], [1, n], v.shape, [...v.shape, 1]];
    for (const d of [2, 3, 4]) if (n % d === 0) shapes.push([d, n / d], [n / d, d]);
    if (n % 12 === 0) shapes.push([2, n / 12, 3, 2]);
    return viewed(v, this.#pick(shapes));
  }

  step(): void {
    const kinds: (() => void)[] = [
      () => this.#unary(),
      () => this.#unary(),
      () => this.#binary(),
      () => this.#binary(),
      () => this.#binary(),
      () => this.#reduce(),
      () => this.#perElement(),
      () => this.#matmul(),
      () => this.#heads(),
      () => this.#matmul(),
      () => this.#convolution(),
      () => this.#convolution(),
      () => this.#pool2d(),
      () => this.#transpose(),
      () => this.#transpose(),
      () => this.#slice(),
      () => this.#broadcast(),
      () => this.#concat(),
      () => this.#pad(),
      () => this.#cast(),
      () => this.#fills(),
      () => this.#state(),
      () => this.#other(),
    ];
    if (this.#draws) kinds.push(() => this.#dropout());
    this.#pick(kinds)();
  }

  #unary(): void {
    const v = this.#any(this.#pick(this.#dtypes));
    const expr = this.#pick(this.#smooth && v.dtype !== 'int32' ? SMOOTH_UNARY : EXACT_UNARY);
    this.#keep(this.#tame(this.#b.node(elementwiseKernel('unary', 1, expr), [v], v.shape)));
  }

  #binary(): void {
    const v = this.#reshaped(this.#any(this.#pick(this.#dtypes)));
    const w = this.#partner(v.shape, v.dtype);
    const expr = this.#pick(this.#smooth && v.dtype !== 'int32' ? SMOOTH_BINARY : EXACT_BINARY);
    const kernel = elementwiseKernel(
      'binary',
      2,
      this.#chance(0.1) ? e.add(expr, e.sub(e.index, e.index)) : expr,
    );
    this.#keep(
      this.#tame(
        this.#b.node(
          kernel,
          this.#chance(0.5) && w.shape.length >= v.shape.length && sizeOf(w.shape) === sizeOf(v.shape)
            ? [w, v]
            : [v, w],
          v.shape,
        ),
      ),
    );
  }

  #rows(v: GraphOperand): readonly [number, number, number] {
    const axis = this.#int(0, v.shape.length - 1);
    return [sizeOf(v.shape.slice(0, axis)), v.shape[axis] ?? 1, sizeOf(v.shape.slice(axis + 1))];
  }

  #reduce(): void {
    const v = this.#reshaped(this.#any('float32'));
    const [outer, length, inner] = this.#rows(v);
    const combine = this.#pick(['sum', 'sum', 'max', 'min'] as const);
    const load = this.#pick([x, x, e.abs(x), e.max(x, 0)]);
    const kernel = rowKernel(
      'reduce',
      1,
      [{ combine, load }],
      this.#pick([e.stage(0), e.stage(0), e.neg(e.stage(0))]),
      false,
    );
    const dims = [outer, length, inner, length * inner, inner, 1];
    const r = this.#b.node(kernel, [v], [outer, inner], { dims, scalars: [length] });
    this.#keep(r);
    // back beside what was reduced
    if (this.#chance(0.5)) {
      const wide = viewed(this.#tame(r), [outer, 1, inner]);
      this.#keep(
        this.#tame(
          this.#b.node(
            elementwiseKernel('sub', 2, e.sub(x, y)),
            [viewed(v, [outer, length, inner]), wide],
            [outer, length, inner],
          ),
        ),
      );
    }
  }

  #perElement(): void {
    const v = this.#reshaped(this.#any('float32'));
    const [outer, length, inner] = this.#rows(v);
    const whole = [length * inner, inner, 1];
    const stages: Stage[] = this.#smooth
      ? [
          { combine: 'max', load: x },
          { combine: 'sum', load: e.exp(e.sub(x, e.stage(0))) },
        ]
      : [
          { combine: 'max', load: x },
          { combine: 'sum', load: e.sub(x, e.stage(0)) },
        ];
    const store = this.#smooth
      ? e.div(e.exp(e.sub(x, e.stage(0))), e.stage(1))
      : e.min(e.max(e.sub(x, e.stage(1)), -4), 4);
    if (this.#chance(0.5)) {
      const w = this.#partner([length], 'float32');
      const kernel = rowKernel('affineRows', 2, stages, e.mul(store, e.max(e.min(y, 1), -1)), true);
      const lone = sizeOf(w.shape) === 1 ? [0, 0, 0] : [0, 1, 0];
      this.#keep(this.#b.node(kernel, [v, w], v.shape, { dims: [outer, length, inner, ...whole, ...lone] }));
    } else
      this.#keep(
        this.#b.node(rowKernel('rows', 1, stages, store, true), [v], v.shape, {
          dims: [outer, length, inner, ...whole],
        }),
      );
  }

  #matmul(): void {
    const v = this.#any('float32', 4);
    const n = sizeOf(v.shape);
    const batch = n % 4 === 0 && this.#chance(0.4) ? 2 : 1;
    const each = n / batch;
    const divisors = [1, 2, 3, 4, 6, 8, 12].filter((d) => each % d === 0);
    const m = this.#pick(divisors);
    const k = each / m;
    const columns = this.#int(1, 5);
    const [transposeA, transposeB] = [this.#chance(0.4), this.#chance(0.4)];
    const shared = batch > 1 && this.#chance(0.3);
    const bias = batch > 1 ? 'none' : this.#pick(['none', 'm', 'n'] as const);
    // the right operand may be one that has been, transposed on the way
    const shapeB = transposeB ? [columns, k] : [k, columns];
    let w = this.#input(shared || batch === 1 ? shapeB : [batch, ...shapeB]);
    if (this.#chance(0.3)) {
      const full = w.shape.length === 3 ? w.shape : [1, ...w.shape];
      const turned = viewed(this.#tame(this.#input(w.shape)), [
        full[0] as number,
        full[2] as number,
        full[1] as number,
      ]);
      const own = stridesOf(turned.shape);
      w = this.#b.node(strided, [turned], full, {
        dims: [3, 0, 0, ...full, own[0] as number, own[2] as number, own[1] as number, ...stridesOf(full)],
      });
    }
    const inputs = [v, w];
    if (bias !== 'none') inputs.push(this.#input([bias === 'm' ? m : columns]));
    const kernel = productKernel('matmul', 'matmul', { transposeA, transposeB, bias });
    const dims = [batch, m, columns, k, batch > 1 ? m * k : 0, shared || batch === 1 ? 0 : k * columns];
    const shape = batch > 1 ? [batch, m, columns] : [m, columns];
    const out = this.#b.node(kernel, inputs, shape, { dims });
    this.#after(out, batch > 1 ? [1, 1, columns] : this.#pick([[m, 1], [columns], [1, 1]]));
    // a bias's gradient from the left operand
    if (batch === 1 && this.#chance(0.4)) {
      const rows = transposeA ? [1, k, m, k * m, m, 1] : [m, k, 1, k, 1, 1];
      const sums = this.#b.node(sumRows, [v], [m], { dims: rows, scalars: [k] });
      this.#keep(this.#tame(sums));
    }
  }

  /** Products of heads: matrices that lie inside larger arrays, the result moved back among them, and something of its shape after it. */
  #heads(): void {
    const [batch, heads, rows, depth, columns] = [1, 2, 3, 4, 5].map(() => this.#int(1, 3)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const [transposeA, transposeB] = [this.#chance(0.4), this.#chance(0.4)];
    /** (batch, heads, m, n), by itself or out of (batch, m, heads, n), or with its axes in any order. */
    const matrices = (m: number, n: number): GraphOperand => {
      const axes = this.#pick([
        [0, 1, 2, 3],
        [0, 2, 1, 3],
        [0, 3, 1, 2],
        [2, 0, 1, 3],
        [1, 0, 3, 2],
        [0, 1, 3, 2],
      ]);
      const shape = [batch, heads, m, n];
      const source = axes.map((_, place) => shape[axes.indexOf(place)] as number);
      const own = stridesOf(source);
      const v = viewed(this.#tame(this.#input([sizeOf(shape)])), source);
      return this.#b.node(strided, [v], shape, {
        dims: [4, 0, 0, ...shape, ...axes.map((a) => own[a] as number), ...stridesOf(shape)],
      });
    };
    const left = transposeA ? matrices(depth, rows) : matrices(rows, depth);
    const right = transposeB ? matrices(columns, depth) : matrices(depth, columns);
    const kernel = productKernel('matmul', 'matmul', { transposeA, transposeB });
    let v = this.#b.node(kernel, [left, right], [batch, heads, rows, columns], {
      dims: [batch * heads, rows, columns, depth, rows * depth, depth * columns],
    });
    if (this.#chance(0.4))
      v = this.#b.node(
        elementwiseKernel('add', 2, e.add(x, y)),
        [v, this.#partner(v.shape, 'float32')],
        v.shape,
      );
    if (this.#chance(0.7)) {
      const axes = this.#pick([
        [0, 2, 1, 3],
        [1, 0, 2, 3],
        [2, 0, 1, 3],
        [0, 1, 3, 2],
      ]);
      const own = stridesOf(v.shape);
      const shape = axes.map((a) => v.shape[a] as number);
      v = this.#b.node(strided, [v], shape, {
        dims: [4, 0, 0, ...shape, ...axes.map((a) => own[a] as number), ...stridesOf(shape)],
      });
    }
    if (this.#chance(0.4))
      v = this.#b.node(
        elementwiseKernel('add', 2, e.add(x, y)),
        [v, this.#partner(v.shape, 'float32')],
        v.shape,
      );
    this.#keep(this.#tame(v));
  }

  /** What follows a product: a vector, an activation, something of its shape. */
  #after(out: GraphOperand, vector: readonly number[]): void {
    let v = out;
    if (this.#chance(0.4))
      v = this.#b.node(
        elementwiseKernel('affine', 2, this.#pick([e.add(x, y), e.mul(x, e.sign(y))])),
        [v, this.#input(vector)],
        v.shape,
      );
    if (this.#chance(0.3)) v = this.#b.node(elementwiseKernel('relu', 1, e.max(x, 0)), [v], v.shape);
    if (this.#chance(0.3))
      v = this.#b.node(
        elementwiseKernel('mask', 2, e.select(e.gt(y, 0), x, 0)),
        [v, this.#partner(v.shape, 'float32')],
        v.shape,
      );
    v = this.#tame(v);
    this.#keep(v);
    if (this.#chance(0.15)) this.#keep(this.#tame(out));
  }

  #convolution(): void {
    const [n, groups] = [this.#int(1, 2), this.#pick([1, 1, 2])];
    const [c, o] = [2 * this.#int(1, 2), 2 * this.#int(1, 2)];
    const [h, w] = [this.#int(3, 5), this.#int(3, 5)];
    const [kh, kw] = [this.#int(1, 3), this.#int(1, 3)];
    const [pad, stride] = [this.#int(0, 1), this.#int(1, 2)];
    const [oh, ow] = [
      Math.floor((h + 2 * pad - kh) / stride) + 1,
      Math.floor((w + 2 * pad - kw) / stride) + 1,
    ];
    const dims = [n, c, o, groups, 1, h, w, 1, oh, ow, 1, kh, kw, 1, stride, stride, 1, 1, 1, 0, pad, pad];
    // parameters of an inference program do not change
    const [normed, parameters] = [this.#chance(0.4), this.#chance(0.6)];
    const parameter = (shape: readonly number[]): GraphOperand => this.#input(shape, 'float32', parameters);
    const weight = parameter([o, c / groups, kh, kw]);
    const data = (shape: readonly number[]): GraphOperand => {
      const same = this.#pool.filter((v) => v.dtype === 'float32' && sizeOf(v.shape) === sizeOf(shape));
      return same.length > 0 ? viewed(this.#pick(same), shape) : this.#input(shape);
    };
    const form = this.#pick(['conv', 'conv', 'convGradData', 'convGradWeight'] as const);
    if (form === 'convGradWeight') {
      const dy = data([n, o, oh, ow]);
      const out = this.#b.node(productKernel('gradWeight', form), [dy, data([n, c, h, w])], weight.shape, {
        dims,
      });
      this.#keep(this.#tame(out));
      if (this.#chance(0.7)) {
        const p = oh * ow;
        const each = this.#b.node(sumRows, [dy], [n, o], { dims: [n * o, p, 1, p, 1, 1], scalars: [n * p] });
        this.#keep(
          this.#tame(this.#b.node(sumRows, [each], [o], { dims: [1, n, o, n * o, o, 1], scalars: [n * p] })),
        );
      }
      return;
    }
    const bias = this.#pick(['none', 'm'] as const);
    const channels = form === 'conv' ? o : c;
    const source = form === 'conv' ? data([n, c, h, w]) : data([n, o, oh, ow]);
    const shape = form === 'conv' ? [n, o, oh, ow] : [n, c, h, w];
    const inputs = [source, weight, ...(bias === 'm' ? [parameter([channels])] : [])];
    const out = this.#b.node(productKernel(form, form, { bias }), inputs, shape, { dims });
    if (form === 'conv' && normed) {
      // batch norm with given statistics; the variance such that its root is exact
      const vectors = [0, 1, 2, 3].map(() => parameter([channels]));
      const expr = e.add(
        e.mul(
          e.sub(x, e.input(3)),
          e.div(y, e.sqrt(e.add(e.max(e.abs(e.sign(e.input(4))), 1), e.scalar(0)))),
        ),
        z,
      );
      const norm = this.#b.node(
        elementwiseKernel('batchNorm', 5, expr),
        [out, ...vectors.map((v) => viewed(v, [1, channels, 1, 1]))],
        shape,
        { scalars: [this.#smooth ? 0.5 : 0] },
      );
      if (!this.#smooth)
        this.#keep(
          this.#b.node(
            elementwiseKernel('finite', 1, e.select(e.lt(e.abs(x), 9), e.rint(x), 0)),
            [norm],
            shape,
          ),
        );
      else this.#keep(norm);
      return;
    }
    this.#after(out, this.#pick([[channels, 1, 1], [1, channels, 1, 1], [1]]));
  }

  #pool2d(): void {
    const v = this.#any('float32', 4);
    const count = sizeOf(v.shape);
    const width = [4, 3, 2, 1].find((d) => count % d === 0) as number;
    const height = [3, 2, 4, 1].find((d) => (count / width) % d === 0) as number;
    const planes = count / width / height;
    const kernel = this.#int(1, 2);
    const [oh, ow] = [Math.floor((height - kernel) / kernel) + 1, Math.floor((width - kernel) / kernel) + 1];
    if (oh < 1 || ow < 1) return;
    const dims = [planes, 1, height, width, 1, oh, ow, 1, kernel, kernel, 1, kernel, kernel, 0, 0, 0, 0];
    const data = viewed(v, [1, planes, height, width]);
    const type = this.#pick(['poolMax', 'poolMax', 'poolSum'] as const);
    const out = this.#b.node(customKernel(type), [data], [1, planes, oh, ow], { dims });
    if (this.#chance(0.5)) this.#keep(this.#tame(out));
    else this.#keep(out);
    if (this.#chance(0.6)) {
      const g = this.#partner([1, planes, oh, ow], 'float32');
      const whole = sizeOf(g.shape) === sizeOf(out.shape) ? g : this.#b.node(copyKernel, [g], out.shape);
      const back = this.#b.node(customKernel('poolMaxGrad'), [data, whole], data.shape, { dims });
      const masked = this.#chance(0.6)
        ? this.#b.node(elementwiseKernel('reluGrad', 2, e.select(e.gt(y, 0), x, 0)), [back, data], data.shape)
        : back;
      this.#keep(this.#tame(masked));
    }
  }

  #transpose(): void {
    const v = this.#reshaped(this.#any(this.#pick(this.#dtypes)));
    const axes = v.shape.map((_, i) => i);
    for (let i = axes.length - 1; i > 0; i--) {
      const j = this.#int(0, i);
      [axes[i], axes[j]] = [axes[j] as number, axes[i] as number];
    }
    const own = stridesOf(v.shape);
    const shape = axes.map((a) => v.shape[a] as number);
    const dims = [shape.length, 0, 0, ...shape, ...axes.map((a) => own[a] as number), ...stridesOf(shape)];
    this.#keep(this.#b.node(strided, [v], shape, { dims }));
  }

  #slice(): void {
    const v = this.#reshaped(this.#any(this.#pick(this.#dtypes)));
    const own = stridesOf(v.shape);
    let offset = 0;
    const strides: number[] = [];
    const shape = v.shape.map((d, i) => {
      const s = own[i] as number;
      const begin = this.#int(0, d - 1);
      const step = this.#pick([1, 1, 2, -1]);
      offset += begin * s;
      strides.push(step * s);
      return step > 0 ? this.#int(1, Math.ceil((d - begin) / step)) : this.#int(1, begin + 1);
    });
    this.#keep(
      this.#b.node(strided, [v], shape, {
        dims: [shape.length, offset, 0, ...shape, ...strides, ...stridesOf(shape)],
      }),
    );
  }

  #broadcast(): void {
    const v = this.#any('float32');
    if (sizeOf(v.shape) > 64) return;
    const times = this.#int(2, 3);
    if (this.#chance(0.5)) this.#keep(this.#b.node(copyKernel, [v], [times, ...v.shape]));
    else {
      const n = sizeOf(v.shape);
      this.#keep(this.#b.node(strided, [v], [n, times], { dims: [2, 0, 0, n, times, 1, 0, times, 1] }));
    }
  }

  #concat(): void {
    const v = this.#any('float32');
    const w = this.#any('float32');
    const [n, m] = [sizeOf(v.shape), sizeOf(w.shape)];
    const first = this.#b.node(strided, [v], [n + m], { dims: [1, 0, 0, n, 1, 1] });
    this.#keep(this.#b.node(strided, [w], [n + m], { dims: [1, 0, n, m, 1, 1], from: [first] }));
  }

  #pad(): void {
    const v = this.#any('float32');
    const n = sizeOf(v.shape);
    const base = this.#b.node(this.#chance(0.5) ? zero : fill, [], [n + 3], {
      scalars: [1],
      dtype: 'float32',
    });
    this.#keep(this.#b.node(strided, [v], [n + 3], { dims: [1, 0, 2, n, 1, 1], from: [base] }));
  }

  #cast(): void {
    const v = this.#any(null);
    this.#keep(this.#b.node(copyKernel, [v], v.shape, { dtype: this.#pick(this.#dtypes) }));
  }

  #fills(): void {
    const shape = this.#pick([[1], [2, 3], [4], [2, 3, 4]]);
    if (this.#chance(0.3)) this.#keep(this.#b.node(iota, [], [this.#int(1, 5)], { dtype: 'float32' }));
    else
      this.#keep(
        this.#b.node(fill, [], shape, {
          scalars: [this.#int(0, 2)],
          dtype: this.#pick(['float32', 'float32', 'int32'] as const),
        }),
      );
  }

  #state(): void {
    const v = this.#any('float32');
    const state = this.#input(v.shape);
    if (this.#chance(0.3)) {
      const kernel = updateKernel('step', 1, 1, [[0, e.sub(x, e.mul(e.scalar(0), y))]]);
      const next = this.#b.node(kernel, [v], v.shape, { scalars: [{ slot: 0 }], from: [state] });
      this.#b.output(this.#tame(next), null);
      this.#b.output(next, state);
      return;
    }
    const kernel = elementwiseKernel('follow', 2, e.add(e.mul(x, e.scalar(0)), e.mul(y, e.scalar(1))));
    const next = this.#b.node(kernel, [state, v], v.shape, {
      scalars: [0.5, { slot: 0 }],
      from: [this.#chance(0.5) ? state : null],
    });
    this.#b.output(next, state);
    if (this.#chance(0.5)) this.#keep(this.#tame(state));
  }

  #dropout(): void {
    const v = this.#any('float32');
    const u = this.#b.node(customKernel('randomUniform'), [], v.shape, { scalars: [0, 1], dtype: 'float32' });
    this.#keep(
      this.#b.node(
        elementwiseKernel('dropout', 2, e.select(e.le(x, e.scalar(0)), e.mul(y, e.scalar(1)), 0), 1),
        [u, v],
        v.shape,
        { scalars: [0.5, 2] },
      ),
    );
  }

  #other(): void {
    const v = this.#reshaped(this.#any('float32'));
    const [outer, length, inner] = this.#rows(v);
    this.#keep(
      this.#tame(this.#b.node(customKernel('cumsum'), [v], v.shape, { dims: [outer, length, inner, 0, 0] })),
    );
  }

  finish(): RandomGraph {
    const types: DType[] = [];
    const before = this.#b.build().outputs.length;
    for (let i = 0; i < before; i++) types.push('float32');
    const made = new Set(this.#b.build().nodes.flatMap((n) => n.outputs.map((o) => o.value)));
    const kept = this.#pool.filter((v) => made.has(v.value));
    kept.forEach((v, i) => {
      if (i !== kept.length - 1 && !this.#chance(0.3)) return;
      this.#b.output(v);
      types.push(v.dtype);
    });
    this.#b.scalars = 1;
    return {
      graph: this.#b.build(),
      inputs: this.#bytes,
      scalars: [this.#smooth ? 0.25 : 1],
      outputTypes: types,
    };
  }
}

/** A random graph and bytes for its inputs; the same for the same seed. */
export function randomGraph(seed: number, options: RandomGraphOptions = {}): RandomGraph {
  const maker = new Maker(seed, options);
  const steps = options.steps ?? 12;
  for (let i = 0; i < steps; i++) maker.step();
  return maker.finish();
}
