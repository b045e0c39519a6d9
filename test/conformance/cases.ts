// ONNX's operator cases as the project ships them (test-data/conformance/onnx.json.gz, made by pack.mjs), and the dtypes that carry their values here.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { DType } from 'webgluon';

/** ONNX's element types in these cases. */
export type OnnxType = DType | 'int16' | 'uint16' | 'int64' | 'uint64';

export interface Tensor {
  readonly name: string;
  readonly dtype: OnnxType;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

export interface OnnxCase {
  readonly name: string;
  readonly op: string;
  /** Names of the node's inputs; '' where one is left out. */
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

type RawTensor = Omit<Tensor, 'data'> & { readonly data: readonly (number | string | boolean)[] };
interface RawCase {
  readonly name: string;
  readonly nodes: readonly {
    readonly op: string;
    readonly inputs: readonly string[];
    readonly outputs: readonly string[];
    readonly attrs: Readonly<Record<string, unknown>>;
  }[];
  readonly inputs: readonly RawTensor[];
  readonly outputs: readonly RawTensor[];
}

// NaN, Infinity, -Infinity and -0 stand as strings, which Number reads as such
const tensor = (t: RawTensor): Tensor => ({ ...t, data: t.data.map(Number) });

function caseOf(raw: RawCase): OnnxCase {
  const [node] = raw.nodes;
  if (node === undefined || raw.nodes.length !== 1)
    throw new Error(`${raw.name} has ${raw.nodes.length} nodes`);
  return {
    name: raw.name.replace(/^test_/, ''),
    op: node.op,
    inputNames: node.inputs,
    outputNames: node.outputs.filter((name) => name !== ''),
    attrs: node.attrs,
    inputs: raw.inputs.map(tensor),
    outputs: raw.outputs.map(tensor),
  };
}

/** All cases by operator, in alphabetical order. */
export function loadCases(): ReadonlyMap<string, readonly OnnxCase[]> {
  const bytes = readFileSync(new URL('../../test-data/conformance/onnx.json.gz', import.meta.url));
  const operators = JSON.parse(gunzipSync(bytes).toString('utf8')) as Record<string, RawCase[]>;
  return new Map(Object.entries(operators).map(([op, cases]) => [op, cases.map(caseOf)]));
}

const CARRIERS: Readonly<Record<'int16' | 'uint16' | 'int64' | 'uint64', DType>> = {
  int16: 'int32',
  uint16: 'uint32',
  int64: 'int32',
  uint64: 'uint32',
};

function isWide(dtype: OnnxType): dtype is keyof typeof CARRIERS {
  return Object.hasOwn(CARRIERS, dtype);
}

/** The dtype that carries a tensor's values here: its own, or int32 and uint32 for integers of 16 and 64 bits. */
export function carrierOf(dtype: OnnxType): DType {
  return isWide(dtype) ? CARRIERS[dtype] : dtype;
}

/** Whether one of a case's tensors has values that its carrier cannot hold. */
export function overflows(c: OnnxCase): boolean {
  return [...c.inputs, ...c.outputs].some((t) => {
    if (!isWide(t.dtype)) return false;
    const [low, high] = carrierOf(t.dtype) === 'int32' ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
    return t.data.some((v) => v < low || v > high);
  });
}

/** Whether a case has a tensor of a dtype. */
export function uses(c: OnnxCase, dtype: OnnxType): boolean {
  return [...c.inputs, ...c.outputs].some((t) => t.dtype === dtype);
}
