// Every case of ONNX's own operator tests that an operation of ours, or a short composition, expresses: on both devices. They know nothing of our code.
import { describe, expect, test } from 'vitest';
import { type DType, type NDArray, nd } from 'webgluon';
import { eachDevice, holds } from '../devices.ts';
import { differences, EXACT, type Tolerance } from '../values.ts';
import { Call } from './call.ts';
import { loadCases, type OnnxCase } from './cases.ts';
import { EXPRESSIONS, leftOut, leftOutOnGpu } from './map.ts';

// ONNX's own runner allows rtol 1e-3 and atol 1e-7 everywhere. Ours: float32 and float64 as far as their digits and a few roundings go; a float16 result
// is a float32 one rounded to 11 bits, so that half a unit (2^-11) may turn into a whole one.
const TOLERANCES: Partial<Record<DType, Tolerance>> = {
  float32: { rtol: 2e-5, atol: 1e-6 },
  float16: { rtol: 2 ** -10, atol: 1e-6 },
  float64: { rtol: 1e-12, atol: 1e-14 },
};

// recorded with four digits
const ROUNDED = { rtol: 1e-3, atol: 1e-6 };
const ROUNDED_CASES = new Set(['averagepool_2d_ceil_last_window_starts_on_pad']);

const product = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

async function run(c: OnnxCase, call: Call): Promise<void> {
  const express = EXPRESSIONS[c.op];
  if (express === undefined) throw new Error(`${c.op} is not in the map`);
  const results = nd.scope(() => {
    const result = express(call);
    return Array.isArray(result) ? result : [result];
  });
  expect(results).toHaveLength(c.outputs.length);
  for (const [i, expected] of c.outputs.entries()) {
    const actual = results[i] as NDArray;
    const { dtype, shape } = call.output(i);
    expect(actual.dtype).toBe(dtype);
    // where ONNX has a result without axes, Gluon's has the shape [1]
    expect([...actual.shape]).toEqual(
      shape.length === 0 && product(actual.shape) === 1 ? [...actual.shape] : shape,
    );
    const tolerance = ROUNDED_CASES.has(c.name) ? ROUNDED : (TOLERANCES[dtype] ?? EXACT);
    const values = await actual.data();
    expect(differences(values, expected.data, tolerance)).toEqual([]);
    actual.dispose();
  }
}

const operators = loadCases();

eachDevice((ctx) => {
  for (const [op, cases] of operators) {
    const running = cases.filter((c) => leftOut(c) === undefined);
    if (running.length === 0) continue;
    describe(op, () => {
      for (const c of running)
        test(c.name, async ({ skip }) => {
          const reason = ctx.deviceType === 'gpu' ? leftOutOnGpu(c, holds(ctx, 'float16')) : undefined;
          if (reason !== undefined) skip(reason);
          await run(c, new Call(c, ctx));
        });
    });
  }
});
