// ONNX's elementwise operators in ours.
import { type NDArray, nd } from 'webgluon';
import type { Call, Expression } from './call.ts';

const unary =
  (f: (x: NDArray) => NDArray): Expression =>
  (c) =>
    f(c.x());
const binary =
  (f: (a: NDArray, b: NDArray) => NDArray): Expression =>
  (c) =>
    f(c.x(0), c.x(1));
const fold =
  (f: (a: NDArray, b: NDArray) => NDArray): Expression =>
  (c) =>
    c.all().reduce(f);
// our comparisons give 0 and 1 in the operands' dtype, ONNX's give bool
const comparison =
  (f: (a: NDArray, b: NDArray) => NDArray): Expression =>
  (c) =>
    f(c.x(0), c.x(1)).astype('bool');

function isInf(c: Call): NDArray {
  const x = c.x();
  const infinite = nd.isinf(x);
  if (c.attr('detect_negative', 1) === 0) return infinite.mul(x.greater(0)).astype('bool');
  if (c.attr('detect_positive', 1) === 0) return infinite.mul(x.lesser(0)).astype('bool');
  return infinite.astype('bool');
}

// √(2/π) and the coefficient of x³, of GELU's approximation by tanh (Hendrycks & Gimpel, 2016)
function geluTanh(x: NDArray): NDArray {
  const inner = x.add(x.mul(x).mul(x).mul(0.044715)).mul(Math.sqrt(2 / Math.PI));
  return x.mul(0.5).mul(nd.tanh(inner).add(1));
}

function pow(c: Call): NDArray {
  const [x, y] = [c.x(0), c.x(1)];
  // ONNX allows two dtypes; the result has the base's
  if (x.dtype === y.dtype) return nd.power(x, y);
  if (x.dtype === 'float32') return nd.power(x, y.astype('float32'));
  return nd.power(x.astype('float32'), y.astype('float32')).astype(x.dtype);
}

/** A scale or a zero point beside x: one number, one for each place along an axis, or one for each block. */
function beside(c: Call, i: number): NDArray {
  const [x, own] = [c.shapeOf(0), c.shapeOf(i)];
  const axis = (c.attr('axis', 1) + x.length) % x.length;
  const block = c.attr('block_size', 0);
  const values = c.x(i).astype('float32');
  if (block > 0) return nd.repeat(values, block, axis).sliceAxis(axis, 0, x[axis] as number);
  return own.length === 1 && (own[0] as number) > 1
    ? values.reshape(x.map((d, k) => (k === axis ? d : 1)))
    : values.reshape([1]);
}

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  uint8: [0, 255],
  // an int16, carried as int32
  int32: [-32768, 32767],
};

function quantize(c: Call): NDArray {
  const dtype = c.output().dtype;
  const [low, high] = RANGES[dtype] as readonly [number, number];
  const steps = nd.rint(c.x().div(beside(c, 1)));
  return (c.has(2) ? steps.add(beside(c, 2)) : steps).clip(low, high).astype(dtype);
}

function dequantize(c: Call): NDArray {
  return c.x().astype('float32').sub(beside(c, 2)).mul(beside(c, 1));
}

export const ELEMENTWISE: Readonly<Record<string, Expression>> = {
  Abs: unary(nd.abs),
  Acos: unary(nd.arccos),
  Acosh: unary(nd.arccosh),
  Add: binary(nd.add),
  And: binary(nd.logicalAnd),
  Asin: unary(nd.arcsin),
  Asinh: unary(nd.arcsinh),
  Atan: unary(nd.arctan),
  Atanh: unary(nd.arctanh),
  Cast: (c) => c.x().astype(c.output().dtype),
  Ceil: unary(nd.ceil),
  // α·elu(x/α) = max(0, x) + min(0, α(e^(x/α) − 1))
  Celu: (c) => nd.elu(c.x().div(c.attr('alpha', 1))).mul(c.attr('alpha', 1)),
  Clip: (c) => c.x().clip(c.scalar(1, -Infinity), c.scalar(2, Infinity)),
  Cos: unary(nd.cos),
  Cosh: unary(nd.cosh),
  DequantizeLinear: dequantize,
  Div: binary(nd.divide),
  Dropout: unary(nd.copy),
  Elu: (c) => nd.elu(c.x(), c.attr('alpha', 1)),
  Equal: comparison(nd.equal),
  Exp: unary(nd.exp),
  Floor: unary(nd.floor),
  Gelu: (c) => (c.text('approximate', 'none') === 'tanh' ? geluTanh(c.x()) : nd.gelu(c.x())),
  Greater: comparison(nd.greater),
  GreaterOrEqual: comparison(nd.greaterEqual),
  HardSigmoid: (c) => nd.hardSigmoid(c.x(), c.attr('alpha', 0.2), c.attr('beta', 0.5)),
  HardSwish: (c) => {
    const x = c.x();
    return x.mul(nd.hardSigmoid(x, { alpha: 1 / 6, beta: 0.5 }));
  },
  Identity: unary(nd.copy),
  IsInf: isInf,
  IsNaN: (c) => nd.isnan(c.x()).astype('bool'),
  LeakyRelu: (c) => nd.leakyReLU(c.x(), c.attr('alpha', 0.01)),
  Less: comparison(nd.lesser),
  LessOrEqual: comparison(nd.lesserEqual),
  Log: unary(nd.log),
  Max: fold(nd.maximum),
  Min: fold(nd.minimum),
  Mod: (c) => (c.attr('fmod', 0) === 1 ? nd.fmod : nd.modulo)(c.x(0), c.x(1)),
  Mul: binary(nd.multiply),
  Neg: unary(nd.negative),
  Not: unary(nd.logicalNot),
  Or: binary(nd.logicalOr),
  // ONNX broadcasts from the right; a vector of ours lies along the channels
  PRelu: (c) => {
    const [x, slope] = [c.x(0), c.x(1)];
    return nd.prelu(x, slope.reshape([...Array<number>(x.ndim - slope.ndim).fill(1), ...slope.shape]));
  },
  Pow: pow,
  QuantizeLinear: quantize,
  Reciprocal: unary(nd.reciprocal),
  Relu: unary(nd.relu),
  Round: unary(nd.rint),
  Selu: (c) =>
    c.attr('alpha') === undefined
      ? nd.selu(c.x())
      : nd.elu(c.x(), c.attr('alpha', 1)).mul(c.attr('gamma', 1)),
  Sigmoid: unary(nd.sigmoid),
  Sign: unary(nd.sign),
  Sin: unary(nd.sin),
  Sinh: unary(nd.sinh),
  Softplus: unary(nd.softrelu),
  Softsign: unary(nd.softsign),
  Sqrt: unary(nd.sqrt),
  Sub: binary(nd.subtract),
  Sum: fold(nd.add),
  Swish: (c) => nd.swish(c.x(), c.attr('alpha', 1)),
  Tan: unary(nd.tan),
  Tanh: unary(nd.tanh),
  Where: (c) => nd.where(c.x(0), c.x(1), c.x(2)),
  Xor: binary(nd.logicalXor),
};
