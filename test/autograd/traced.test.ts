// Every operation, and every operation that gradients are made of, traced without running: what its kernels give must be what it gives when it runs, bit for bit. Gradients come
// from the joint trace of forward and backward, and second ones from the joint trace of a gradient.
import { describe, expect, test } from 'vitest';
import { autograd, cpu, type NDArray, nd } from 'webgluon';
import { arraysIn, bodyOf } from '../../src/array/ndarray.ts';
import { placeOf } from '../../src/autograd/tape.ts';
import { bytesOf, HOLDERS, isFloat } from '../../src/core/dtype.ts';
import { deviceOf } from '../../src/device/registry.ts';
import { compileGraph } from '../../src/graph/compile.ts';
import { joint } from '../../src/graph/joint.ts';
import { lower } from '../../src/graph/lower.ts';
import { optimize } from '../../src/graph/passes/optimize.ts';
import { traceAbstract } from '../../src/graph/standIn.ts';
import { faultsOf, interpret } from '../../src/graph/testGraphs.ts';
import type { Graph } from '../../src/ir/graph.ts';
import cases from './table.ts';

const device = deviceOf(cpu(0));
type Fn = (inputs: readonly NDArray[]) => NDArray[];

function bytesNow(x: NDArray): Uint8Array {
  const { storage } = bodyOf(x, 'test');
  return new Uint8Array(device.readSync({ storage, at: 0, bytes: x.size * bytesOf(x.dtype) }) as ArrayBuffer);
}

/** A gradient from above for head k. */
function headFor({ shape, dtype }: Pick<NDArray, 'shape' | 'dtype'>, k: number): NDArray {
  const size = shape.reduce((a, b) => a * b, 1);
  return nd.array(
    Array.from({ length: size }, (_, i) => 0.25 * (i + 1) + k),
    { shape, dtype },
  );
}

/** Floats are variables, as far as gradients by them are wanted. */
function attach(inputs: readonly NDArray[]): readonly NDArray[] {
  for (const x of inputs) if (isFloat(x.dtype)) x.attachGrad();
  return inputs;
}

/** Results and gradients of a run. */
function eagerly(fn: Fn, inputs: readonly NDArray[]): (Uint8Array | null)[] {
  nd.random.seed(8);
  const results = autograd.record(() => fn(attach(inputs)));
  const values = results.map(bytesNow);
  const heads = results.filter((y) => placeOf(y) !== null);
  if (heads.length > 0)
    autograd.backward(
      heads,
      heads.map((y, k) => headFor(y, k)),
    );
  return [...values, ...inputs.map((x) => (placeOf(x)?.variable?.fresh === true ? bytesNow(x.grad) : null))];
}

/** Runs a graph as a program, twice: the second run is what counts. */
function runProgram(graph: Graph, given: readonly Uint8Array[], fused: boolean): Uint8Array[] {
  const options = { staticAlloc: false, name: 'test', optimize: fused };
  if (fused) expect(faultsOf(optimize(graph, device))).toBe('');
  const program = compileGraph(graph, device, options);
  const held = [
    ...given,
    ...graph.outputs.map((v) => new Uint8Array(graph.values[v]?.bytes ?? 0).fill(0x5b)),
  ].map((bytes) => {
    const storage = device.alloc(bytes.byteLength);
    storage.refs = 1;
    device.write(storage, bytes);
    return storage;
  });
  const [sources, targets] = [held.slice(0, given.length), held.slice(given.length)];
  program.run(sources, targets, [], true);
  // drawn anew
  nd.random.seed(8);
  program.run(sources, targets, [], false);
  const found = targets.map(
    (storage) => new Uint8Array(device.readSync({ storage, at: 0, bytes: storage.bytes }) as ArrayBuffer),
  );
  program.dispose();
  for (const storage of held) {
    storage.refs = 0;
    device.free(storage);
  }
  return found;
}

/** The same by kernels: one by one, as a program, and as a fused program, which must agree. */
async function compiled(fn: Fn, inputs: readonly NDArray[]): Promise<(Uint8Array | null)[]> {
  const trace = autograd.record(() => traceAbstract('fn', cpu(0), inputs, (x) => fn(attach(x))));
  const wants = trace.externals.map(
    ({ argument }) => argument !== null && isFloat((inputs[argument] as NDArray).dtype),
  );
  const { trace: both, heads, gradients } = joint(trace, wants, true);
  const wanted = gradients.flatMap((x) => (x === null ? [] : [x.value]));
  const results = both.results.map((x) => x.value);
  const { graph } = lower(both, { outputs: [...results, ...wanted], writes: false, stable: () => false });
  expect(faultsOf(graph)).toBe('');
  let k = 0;
  const given = both.externals.map(({ argument, array, ref }) => {
    if (argument !== null) return bytesNow(inputs[argument] as NDArray);
    const head = heads.find((x) => x?.value === ref.value);
    if (head == null) return bytesNow(array as NDArray);
    return bytesNow(headFor(head, k++));
  });
  // what traced it drew nothing
  nd.random.seed(8);
  const found = await interpret(graph, device, given);
  expect(runProgram(graph, given, false)).toEqual(found);
  const types = [...both.results, ...gradients.flatMap((x) => (x === null ? [] : [x]))];
  runProgram(graph, given, true).forEach((bytes, i) => {
    const { dtype } = types[i] as { readonly dtype: keyof typeof HOLDERS };
    const [a, b] = [bytes, found[i] as Uint8Array].map((x) => new HOLDERS[dtype](x.slice().buffer));
    const scale = Math.max(1, ...Array.from(b as ArrayLike<number>, Math.abs).filter(Number.isFinite));
    (b as Float64Array).forEach((v, k) => {
      const w = (a as Float64Array)[k] as number;
      if (!Object.is(v, w) && !(Math.abs(v - w) <= 1e-6 * scale))
        expect.fail(`output ${i} at ${k}: ${w} fused, ${v} plainly`);
    });
  });
  const made = found.slice(results.length);
  return [
    ...found.slice(0, results.length),
    ...gradients.slice(0, inputs.length).map((x) => (x === null ? null : (made.shift() ?? null))),
  ];
}

describe.each(cases.map((c) => [c.name, c] as const))('%s', (name, { f, unseeded = f, inputs: given }) => {
  const inputs = (): NDArray[] =>
    given.map(({ values, shape, fixed = 'float64' }) => nd.array([...values], { shape, dtype: fixed }));
  const forward: Fn = (x) => [...arraysIn(unseeded(...x))];
  const gradient: Fn = (x) => {
    const results = forward(x).filter((y) => placeOf(y) !== null);
    // the one case whose second input has no part in the result
    const wanted = x.filter((y, i) => placeOf(y) !== null && !(name === 'concat one' && i > 0));
    return results.length === 0 ? [] : autograd.grad(results, wanted, { createGraph: true });
  };

  test('value and gradient', async () => {
    expect(await compiled(forward, inputs())).toEqual(eagerly(forward, inputs()));
  });

  test('gradient of the gradient', async () => {
    expect(await compiled(gradient, inputs())).toEqual(eagerly(gradient, inputs()));
  });
});
