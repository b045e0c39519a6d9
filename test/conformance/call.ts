// One node of ONNX on its way to our operations: its inputs as arrays, or as plain numbers where ONNX has inputs for what we take as arguments.
import type { Context, DType } from 'webgluon';
import { type NDArray, nd } from 'webgluon';
import { carrierOf, type OnnxCase, type Tensor } from './cases.ts';

/** What a case's operator is here: a function of ours, or a short composition. */
export type Expression = (call: Call) => NDArray | NDArray[];

export class Call {
  readonly ctx: Context;
  readonly #case: OnnxCase;

  constructor(c: OnnxCase, ctx: Context) {
    this.#case = c;
    this.ctx = ctx;
  }

  #tensor(i: number): Tensor | undefined {
    const name = this.#case.inputNames[i];
    return name === undefined || name === '' ? undefined : this.#case.inputs.find((t) => t.name === name);
  }

  /** How many inputs the node names. */
  get count(): number {
    return this.#case.inputNames.length;
  }

  has(i: number): boolean {
    return this.#tensor(i) !== undefined;
  }

  /** Input i as an array on the device. */
  x(i = 0): NDArray {
    const t = this.#tensor(i);
    if (t === undefined) throw new Error(`${this.#case.name} has no input ${i}`);
    const values = t.data.length === 0 ? new Float32Array(0) : Float64Array.from(t.data);
    return nd.array(values, { ctx: this.ctx, dtype: carrierOf(t.dtype), shape: t.shape });
  }

  /** All inputs as arrays. */
  all(): NDArray[] {
    return Array.from({ length: this.count }, (_, i) => this.x(i));
  }

  /** The numbers of input i: axes, sizes and the like; undefined where it is left out. */
  host(i: number): readonly number[] | undefined {
    return this.#tensor(i)?.data;
  }

  /** The one number of input i. */
  scalar(i: number, fallback?: number): number {
    const value = this.host(i)?.[0] ?? fallback;
    if (value === undefined) throw new Error(`${this.#case.name} has no number ${i}`);
    return value;
  }

  shapeOf(i: number): readonly number[] {
    return this.#tensor(i)?.shape ?? [];
  }

  dtypeOf(i: number): DType {
    return carrierOf(this.#tensor(i)?.dtype ?? 'float32');
  }

  attr(name: string): number | undefined;
  attr(name: string, fallback: number): number;
  attr(name: string, fallback?: number): number | undefined {
    return (this.#case.attrs[name] as number | undefined) ?? fallback;
  }

  list(name: string): readonly number[] | undefined {
    return this.#case.attrs[name] as readonly number[] | undefined;
  }

  text(name: string, fallback: string): string {
    return (this.#case.attrs[name] as string | undefined) ?? fallback;
  }

  /** The names of its outputs. */
  get outputNames(): readonly string[] {
    return this.#case.outputs.map((t) => t.name);
  }

  /** How many outputs the node names. */
  get outputs(): number {
    return this.#case.outputs.length;
  }

  /** The dtype and shape that output i must have. */
  output(i = 0): { readonly dtype: DType; readonly shape: readonly number[] } {
    const t = this.#case.outputs[i] as Tensor;
    return { dtype: carrierOf(t.dtype), shape: t.shape };
  }
}
