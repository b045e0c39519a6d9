// The models onnxruntime-web is given, written by hand in ONNX's protobuf (onnx.proto: ModelProto and what it holds).
import { resnet, UNITS } from '../resnet.mjs';
import { EPSILON } from '../works.mjs';

const FLOAT = 1;

function varint(value) {
  const out = [];
  let v = BigInt(value);
  if (v < 0n) v += 1n << 64n;
  do {
    const low = Number(v & 127n);
    v >>= 7n;
    out.push(v > 0n ? low | 128 : low);
  } while (v > 0n);
  return Uint8Array.from(out);
}

function join(parts) {
  const out = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const int = (field, value) => join([varint(field << 3), varint(value)]);
const float = (field, value) =>
  join([varint((field << 3) | 5), new Uint8Array(new Float32Array([value]).buffer)]);
const bytes = (field, value) => join([varint((field << 3) | 2), varint(value.length), value]);
const text = (field, value) => bytes(field, new TextEncoder().encode(value));

/** AttributeProto: INT, FLOAT or INTS. */
function attribute(name, value) {
  if (Array.isArray(value)) return join([text(1, name), ...value.map((v) => int(8, v)), int(20, 7)]);
  if (name === 'epsilon') return join([text(1, name), float(2, value), int(20, 1)]);
  return join([text(1, name), int(3, value), int(20, 2)]);
}

const tensor = (name, { shape, data }) =>
  join([
    ...shape.map((d) => int(1, d)),
    int(2, FLOAT),
    text(8, name),
    bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  ]);

function valueInfo(name, shape) {
  const dims = shape.map((d) => bytes(1, int(1, d)));
  return join([text(1, name), bytes(2, bytes(1, join([int(1, FLOAT), bytes(2, join(dims))])))]);
}

/**
 * @param {{ nodes: [string, string[], string, object?][], inputs: object, outputs: object, constants?: object }} graph
 * nodes as [operator, inputs, output, attributes]; inputs and outputs by name with their shapes; constants by name
 * @returns the file's bytes, and the outputs again
 */
function model({ nodes, inputs, outputs, constants = {} }) {
  const graph = join([
    ...nodes.map(([operator, from, to, attributes]) =>
      bytes(
        1,
        join([
          ...from.map((name) => text(1, name)),
          text(2, to),
          text(3, to),
          text(4, operator),
          ...Object.entries(attributes ?? {}).map(([name, value]) => bytes(5, attribute(name, value))),
        ]),
      ),
    ),
    text(2, 'benchmark'),
    ...Object.entries(constants).map(([name, value]) => bytes(5, tensor(name, value))),
    ...Object.entries(inputs).map(([name, shape]) => bytes(11, valueInfo(name, shape))),
    ...Object.entries(outputs).map(([name, shape]) => bytes(12, valueInfo(name, shape))),
  ]);
  return { model: join([int(1, 8), bytes(7, graph), bytes(8, join([text(1, ''), int(2, 17)]))]), outputs };
}

/** The crash course's LeNet. */
export function lenetModel(batch, parameters) {
  const constants = Object.fromEntries(parameters.map((p, i) => [`p${i}`, p]));
  const dense = (from, i, to) => ['Gemm', [from, `p${i}`, `p${i + 1}`], to, { transB: 1 }];
  const pool = { kernel_shape: [2, 2], strides: [2, 2] };
  return model({
    constants,
    inputs: { x: [batch, 1, 28, 28] },
    outputs: { y: [batch, 10] },
    nodes: [
      ['Conv', ['x', 'p0', 'p1'], 'c1', { kernel_shape: [5, 5] }],
      ['Relu', ['c1'], 'r1'],
      ['MaxPool', ['r1'], 'm1', pool],
      ['Conv', ['m1', 'p2', 'p3'], 'c2', { kernel_shape: [3, 3] }],
      ['Relu', ['c2'], 'r2'],
      ['MaxPool', ['r2'], 'm2', pool],
      ['Flatten', ['m2'], 'f'],
      dense('f', 4, 'd1'),
      ['Relu', ['d1'], 'r3'],
      dense('r3', 6, 'd2'),
      ['Relu', ['d2'], 'r4'],
      dense('r4', 8, 'y'),
    ],
  });
}

/** The small ResNet; batch norms are folded into their convolutions by the session's optimizations. */
export function resnetModel(batch, { units, dense }) {
  const nodes = [];
  const constants = { weight: dense.weight, bias: dense.bias };
  const node = (operator, from, attributes) => {
    const to = `t${nodes.length}`;
    nodes.push([operator, from, to, attributes]);
    return to;
  };
  const y = resnet('x', {
    unit(x, i) {
      const [, , kernel, stride] = UNITS[i];
      const names = ['weight', 'gamma', 'beta', 'mean', 'variance'].map((name) => {
        constants[`${name}${i}`] = units[i][name];
        return `${name}${i}`;
      });
      const pad = kernel >> 1;
      const attributes = {
        kernel_shape: [kernel, kernel],
        strides: [stride, stride],
        pads: [pad, pad, pad, pad],
      };
      const z = node('Conv', [x, names[0]], attributes);
      return node('BatchNormalization', [z, ...names.slice(1)], { epsilon: EPSILON });
    },
    relu: (x) => node('Relu', [x]),
    add: (a, b) => node('Add', [a, b]),
    head(x) {
      const flat = node('Flatten', [node('GlobalAveragePool', [x])]);
      return node('Gemm', [flat, 'weight', 'bias'], { transB: 1 });
    },
  });
  return model({ nodes, constants, inputs: { x: [batch, 3, 32, 32] }, outputs: { [y]: [batch, 10] } });
}

/** Whether a work's output fits its input. */
export const chained = ({ kind, inputs, channels, stride, n, k }) =>
  kind === 'conv' ? inputs === channels && stride === 1 : kind === 'matmul' ? n === k : true;

/**
 * One operator, `repeat` times in a row: y ← op(y); a convolution whose output does not fit its input stands that often side by side.
 * @param {object} work @param {object} inputs as `inputsOf` gives them
 */
export function operatorModel(work, inputs, repeat = 1) {
  const shapes = Object.fromEntries(Object.entries(inputs).map(([name, { shape }]) => [name, shape]));
  const chain = (operator, others, attributes, first = 'x') =>
    Array.from({ length: repeat }, (_, i) => [
      operator,
      [i === 0 ? first : `y${i}`, ...others],
      i === repeat - 1 ? 'y0' : `y${i + 1}`,
      attributes,
    ]);
  switch (work.kind) {
    case 'matmul':
      return model({
        inputs: shapes,
        outputs: { y0: [work.m, work.n] },
        nodes: chain('MatMul', ['b'], undefined, 'a'),
      });
    case 'conv': {
      const { batch, channels, out, kernel, stride, pad, depthwise } = work;
      const attributes = {
        kernel_shape: [kernel, kernel],
        strides: [stride, stride],
        pads: [pad, pad, pad, pad],
        group: depthwise ? channels : 1,
      };
      // a layer's weights are constants of the model
      const fixed = { inputs: { x: shapes.x }, outputs: { y0: [batch, channels, out, out] } };
      if (repeat === 1 || chained(work))
        return model({ ...fixed, constants: { w: inputs.w }, nodes: chain('Conv', ['w'], attributes) });
      // side by side on one input, each with weights of its own (equal nodes would become one), then added up
      const { shape, data } = inputs.w;
      const weights = Array.from({ length: repeat }, (_, i) => [
        `w${i}`,
        { shape, data: data.map((v) => v / (i + 1)) },
      ]);
      const sums = weights.map(([name], i) => ['Conv', ['x', name], `z${i}`, attributes]);
      return model({
        ...fixed,
        constants: Object.fromEntries(weights),
        nodes: [...sums, ['Sum', weights.map((_, i) => `z${i}`), 'y0']],
      });
    }
    case 'batched':
      return model({
        inputs: shapes,
        outputs: { y0: [work.count, work.m, work.n] },
        nodes: [['MatMul', ['a', 'b'], 'y0']],
      });
    case 'gradient': {
      // the gradient by the input is what ConvTranspose computes; what the forward's stride left over at the border comes as output_padding
      const { batch, inputs: outputs, size, kernel, stride, pad, depthwise, out } = work;
      const rest = size - ((out - 1) * stride + kernel - 2 * pad);
      const attributes = {
        kernel_shape: [kernel, kernel],
        strides: [stride, stride],
        pads: [pad, pad, pad, pad],
        output_padding: [rest, rest],
        group: depthwise ? outputs : 1,
      };
      return model({
        inputs: { dy: shapes.dy },
        constants: { w: inputs.w },
        outputs: { y0: [batch, outputs, size, size] },
        nodes: [['ConvTranspose', ['dy', 'w'], 'y0', attributes]],
      });
    }
    case 'add':
      return model({
        inputs: { x: shapes.x, other: shapes.y },
        outputs: { y0: work.shape },
        nodes: chain('Add', ['other']),
      });
    case 'sigmoid':
      return model({ inputs: shapes, outputs: { y0: work.shape }, nodes: chain('Sigmoid', []) });
    case 'softmax':
      return model({
        inputs: shapes,
        outputs: { y0: work.shape },
        nodes: chain('Softmax', [], { axis: -1 }),
      });
    case 'layerNorm':
      return model({
        inputs: { x: shapes.x },
        constants: { gamma: inputs.gamma, beta: inputs.beta },
        outputs: { y0: work.shape },
        nodes: chain('LayerNormalization', ['gamma', 'beta'], { axis: -1, epsilon: EPSILON }),
      });
    default:
      return undefined;
  }
}
