// ONNX's attention operators, which are whole layers there, as the products, softmax and masks that they are made of.
import { type NDArray, nd } from 'webgluon';
import type { Call, Expression } from './call.ts';

/** (B, S, heads·d) → (B, heads, S, d); four axes are that already. */
function headed(x: NDArray, heads: number): NDArray {
  if (x.ndim === 4) return x;
  const [batch, length, width] = x.shape;
  return x.reshape([batch, length, heads, width / heads]).transpose([0, 2, 1, 3]);
}

/** What is added to the scores: 0 where a query may look, −∞ where it may not, and the given bias. */
function biasOf(c: Call, queries: number, keys: number, past: number): NDArray | undefined {
  const { ctx } = c;
  let bias: NDArray | undefined;
  const join = (next: NDArray): void => {
    bias = bias === undefined ? next : bias.add(next);
  };
  if (c.has(3)) {
    const mask = c.x(3);
    const given = mask.dtype === 'bool' ? nd.where(mask, 0, -Infinity) : mask;
    const missing = keys - (given.shape[given.ndim - 1] as number);
    join(
      missing === 0
        ? given
        : given.pad({
            padWidth: given.shape.flatMap((_, i) => (i === given.ndim - 1 ? [0, missing] : [0, 0])),
            constantValue: -Infinity,
          }),
    );
  }
  if (c.attr('is_causal', 0) === 1) {
    const ahead = nd.arange(keys, { ctx }).sub(nd.arange(queries, { ctx }).reshape([queries, 1]));
    join(nd.where(ahead.lesserEqual(past), 0, -Infinity).astype(c.dtypeOf(0)));
  }
  if (c.has(6)) {
    const lengths = c.x(6).reshape([-1, 1, 1, 1]);
    join(
      nd.where(nd.arange(keys, { ctx, dtype: 'int32' }).lesser(lengths), 0, -Infinity).astype(c.dtypeOf(0)),
    );
  }
  return bias;
}

const attention: Expression = (c) => {
  const query = headed(c.x(0), c.attr('q_num_heads', 1));
  const kvHeads = c.attr('kv_num_heads', c.shapeOf(1)[1] as number);
  const [newKeys, newValues] = [headed(c.x(1), kvHeads), headed(c.x(2), kvHeads)];
  const key = c.has(4) ? nd.concat(c.x(4), newKeys, { dim: 2 }) : newKeys;
  const value = c.has(5) ? nd.concat(c.x(5), newValues, { dim: 2 }) : newValues;
  // several heads of queries may share one of keys and values
  const share = query.shape[1] / key.shape[1];
  const shared = (x: NDArray): NDArray => (share === 1 ? x : x.repeat(share, 1));
  const scale = Math.sqrt(c.attr('scale', 1 / Math.sqrt(query.shape[3])));
  const raw = nd.matmul(query.mul(scale), shared(key).mul(scale), { transposeB: true });
  const softcap = c.attr('softcap', 0);
  const capped = softcap === 0 ? raw : raw.div(softcap).tanh().mul(softcap);
  const bias = biasOf(c, query.shape[2], key.shape[2], c.has(4) ? c.x(4).shape[2] : 0);
  const masked = bias === undefined ? capped : capped.add(bias);
  const weights = masked.softmax();
  const mixed = nd.matmul(weights, shared(value));
  const [batch, heads, length, width] = mixed.shape;
  const y =
    c.shapeOf(0).length === 4 ? mixed : mixed.transpose([0, 2, 1, 3]).reshape([batch, length, heads * width]);
  const scores = [raw, capped, masked, weights][c.attr('qk_matmul_output_mode', 0)] as NDArray;
  const named: Readonly<Record<string, NDArray>> = {
    Y: y,
    present_key: key,
    present_value: value,
    qk_matmul_output: scores,
  };
  return c.outputNames.map((name) => named[name] as NDArray);
};

/** Turns pairs of the first `rotary_embedding_dim` elements of each head by angles that depend on the place. Su et al., 2021. */
const rotary: Expression = (c) => {
  const x = c.x(0).transpose([0, 2, 1, 3]);
  const angles = (i: number): NDArray => (c.has(3) ? c.x(i).take(c.x(3)) : c.x(i)).expandDims(2);
  const [cos, sin] = [angles(1), angles(2)];
  const width = x.shape[3];
  const turned = c.attr('rotary_embedding_dim', width);
  const interleaved = c.attr('interleaved', 0) === 1;
  const half = turned / 2;
  const [a, b] = interleaved
    ? [x.at('...', `0:${turned}:2`), x.at('...', `1:${turned}:2`)]
    : [x.sliceAxis(3, 0, half), x.sliceAxis(3, half, turned)];
  const real = cos.mul(a).sub(sin.mul(b));
  const imaginary = sin.mul(a).add(cos.mul(b));
  const pairs = interleaved
    ? nd.stack(real, imaginary, { axis: 4 }).reshape([0, 0, 0, turned])
    : nd.concat(real, imaginary, { dim: 3 });
  const whole = turned === width ? pairs : nd.concat(pairs, x.sliceAxis(3, turned, width), { dim: 3 });
  return whole.transpose([0, 2, 1, 3]);
};

export const ATTENTION: Readonly<Record<string, Expression>> = {
  Attention: attention,
  RotaryEmbedding: rotary,
};
