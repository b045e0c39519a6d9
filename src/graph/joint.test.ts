import { describe, expect, test } from 'vitest';
import { arraysIn, type NDArray } from '../array/ndarray.ts';
import { Function, grad, record } from '../autograd/api.ts';
import { setRecording, setTraining } from '../autograd/mode.ts';
import { placeOf } from '../autograd/tape.ts';
import { cpu } from '../core/context.ts';
import { isFloat } from '../core/dtype.ts';
import { deviceOf } from '../device/registry.ts';
import { Block } from '../gluon/nn/index.ts';
import * as nd from '../nd/index.ts';
import { slots } from '../ops/invoke.ts';
import { joint } from './joint.ts';
import { lower } from './lower.ts';
import { replay } from './replay.ts';
import { traceAbstract } from './standIn.ts';
import { faultsOf, interpret } from './testGraphs.ts';
import { arrayOf, bytesNow, inputsOf, type NetCase, nets } from './testNets.ts';
import { Recorder, type Trace } from './trace.ts';

const device = deviceOf(cpu(0));
type Net = ReturnType<NetCase['make']>;

function made(c: NetCase, args: NDArray[]): Net {
  nd.random.seed(5);
  const net = c.make();
  const { net: inner } = net as { net?: Block };
  (net instanceof Block ? net : inner)?.initialize();
  net(...args);
  nd.random.seed(6);
  return net;
}

function recorded<R>(training: boolean, fn: () => R): R {
  const [a, b] = [setTraining(training), setRecording(true)];
  try {
    return fn();
  } finally {
    setTraining(a);
    setRecording(b);
  }
}

/** Weights of the results' sum. */
function headFor(shape: readonly number[], k: number): NDArray {
  return nd
    .arange(1, 1 + shape.reduce((a, b) => a * b, 1))
    .mul(0.1)
    .add(k)
    .reshape(shape);
}

function withGradients(args: NDArray[]): NDArray[] {
  for (const x of args) if (isFloat(x.dtype)) x.attachGrad();
  return args;
}

/** By external whether a gradient by it is wanted: arguments and parameters alike. */
function wantsOf(trace: Trace, args: readonly NDArray[]): boolean[] {
  return trace.externals.map((x) => (placeOf(arrayOf(x, args))?.variable?.gradReq ?? 'null') !== 'null');
}

describe.each(nets.map((c) => [c.name, c] as const))('%s', (_, c) => {
  test.each([
    ['training', true],
    ['inference', false],
  ] as const)(
    '%s: forward and backward, apart and as one, give the eager gradients',
    async (_mode, training) => {
      // the eager run
      const eagerArgs = withGradients(inputsOf(c));
      const eager = made(c, eagerArgs);
      const results = recorded(training, () => [...arraysIn(eager(...eagerArgs))]);
      const heads = results.filter((y) => placeOf(y) !== null);
      const values = results.map(bytesNow);
      const { backward } = await import('../autograd/api.ts');
      backward(
        heads,
        heads.map((y, k) => headFor(y.shape, k)),
        { trainMode: training },
      );

      // the same by stand-ins
      const args = withGradients(inputsOf(c));
      const net = made(c, args);
      const dispatches = device.stats.dispatches;
      const trace = recorded(training, () => traceAbstract('net', cpu(0), args, (inputs) => net(...inputs)));
      const wants = wantsOf(trace, args);
      const built = joint(trace, wants, training);
      expect(device.stats.dispatches).toBe(dispatches);
      expect([slots.trace, slots.standIn]).toEqual([null, null]);
      expect(built.heads.map((x) => x !== null)).toEqual(results.map((y) => heads.includes(y)));
      const { trace: both, split, saved } = built;
      expect(both.externals.slice(0, trace.externals.length).map((x) => x.array)).toEqual(
        trace.externals.map((x) => x.array),
      );

      const given = trace.externals.map((x) => bytesNow(arrayOf(x, args)));
      const weights = built.heads
        .flatMap((x) => (x === null ? [] : [x]))
        .map((x, k) => bytesNow(headFor(x.shape, k)));
      const outputs = both.results.map((x) => x.value);
      const wanted = built.gradients.flatMap((x) => (x === null ? [] : [x.value]));
      const stable = (): boolean => false;

      const expected = trace.externals.flatMap((x, i) => {
        if (built.gradients[i] === null) return [];
        const twin =
          x.argument === null
            ? parameterLike(eager, net, arrayOf(x, args))
            : (eagerArgs[x.argument] as NDArray);
        return [bytesNow(twin.grad)];
      });
      expect(wants.filter((x) => x).length).toBeGreaterThan(0);
      expect(expected.length).toBeGreaterThan(0);

      // as one
      const whole = lower(both, { outputs: [...outputs, ...wanted], writes: false, stable });
      expect(faultsOf(whole.graph)).toBe('');
      const found = await interpret(whole.graph, device, [...given, ...weights]);
      expect(found.slice(0, outputs.length)).toEqual(values);
      expect(found.slice(outputs.length)).toEqual(expected);

      // apart
      nd.random.seed(6);
      const forward = lower(both, {
        to: split,
        inputs: trace.externals.map((_x, i) => both.externals[i]?.ref.value ?? -1),
        outputs: [...outputs, ...saved],
        writes: true,
        stable,
      });
      expect(forward.inputs).toHaveLength(given.length);
      const kept = (await interpret(forward.graph, device, given)).slice(
        outputs.length,
        outputs.length + saved.length,
      );
      const back = lower(both, {
        from: split,
        inputs: [...saved, ...built.heads.flatMap((x) => (x === null ? [] : [x.value]))],
        outputs: wanted,
        writes: false,
        stable,
      });
      expect(back.inputs).toHaveLength(saved.length + weights.length);
      expect(await interpret(back.graph, device, [...kept, ...weights])).toEqual(expected);
    },
  );
});

/** The array of the one net that has the place of `array` in the other. */
function parameterLike(one: Net, other: Net, array: NDArray): NDArray {
  const parametersOf = (net: Net): NDArray[] => {
    const { net: inner } = net as { net?: Block };
    const block = net instanceof Block ? net : inner;
    return [...(block?.collectParams().values() ?? [])].map((p) => p.data());
  };
  return parametersOf(one)[parametersOf(other).indexOf(array)] as NDArray;
}

describe('joint', () => {
  const type = { shape: [3], dtype: 'float32' } as const;

  test('keeps only what the backward reads', () => {
    const w = nd.ones([3]);
    w.attachGrad();
    const trace = recorded(true, () =>
      traceAbstract('fn', cpu(0), [type], ([x]) => (x as NDArray).mul(w).add(1).relu().add(2)),
    );
    const { saved, trace: both, gradients } = joint(trace, [false, true], true);
    // the argument, for w's gradient, and what relu gave; not the sums
    const made = both.steps.map((s) => (s.kind === 'op' ? s.outputs[0]?.value : -1));
    expect(saved).toHaveLength(2);
    expect(saved[0]).toBe(both.externals[0]?.ref.value);
    expect(made.indexOf(saved[1])).toBeGreaterThan(0);
    expect(gradients[0]).toBeNull();
  });

  test('gradients that are not given are not zeros, and the forward is numbered alike', () => {
    const trace = recorded(true, () =>
      traceAbstract('fn', cpu(0), [type], ([x]) => [(x as NDArray).exp(), (x as NDArray).log()]),
    );
    const [all, one] = [joint(trace, [true], true), joint(trace, [true], true, [true, false])];
    expect(one.heads.map((x) => x !== null)).toEqual([true, false]);
    expect(one.trace.results).toEqual(all.trace.results);
    const names = one.trace.steps.slice(one.split).map((s) => (s.kind === 'op' ? s.op.name : ''));
    expect(names.join()).not.toContain('log');
    expect(one.trace.steps.length).toBeLessThan(all.trace.steps.length);
  });

  test('running state is not followed by the backward, nor raised by building it', () => {
    const state = nd.zeros([3]);
    const trace = recorded(true, () =>
      traceAbstract('fn', cpu(0), [type], ([x]) => {
        const recording = setRecording(false);
        state.iadd(1);
        setRecording(recording);
        return (x as NDArray).mul(state);
      }),
    );
    const { trace: both, split, saved } = joint(trace, [true, false], true);
    expect(both.writes).toHaveLength(1);
    expect(both.writes[0]?.array).toBe(state);
    // the product is with the new value
    expect(saved).toEqual([both.writes[0]?.ref.value]);
    const inPlace = both.steps.findIndex((s) => s.kind === 'op' && s.inPlace);
    expect(inPlace).toBeLessThan(split);
    expect(bytesNow(state)).toEqual(new Uint8Array(12));
  });

  test('what would fail in the backward fails here', () => {
    const state = nd.zeros([3]);
    const trace = recorded(true, () =>
      traceAbstract('fn', cpu(0), [type], ([x]) => {
        const y = (x as NDArray).mul(state);
        const recording = setRecording(false);
        state.iadd(1);
        setRecording(recording);
        return y;
      }),
    );
    expect(() => joint(trace, [true, false], true)).toThrow(/written in place/);
    expect([slots.trace, slots.standIn]).toEqual([null, null]);
  });

  test("a backward of a user's own may use arrays that it holds", async () => {
    const factor = nd.array([1, 2, 3]);
    class Times extends Function {
      override forward(x: NDArray): NDArray {
        return x.mul(1);
      }
      override backward(dy: NDArray): NDArray {
        return dy.mul(factor);
      }
    }
    const trace = recorded(true, () =>
      traceAbstract('fn', cpu(0), [type], ([x]) => new Times()(x as NDArray) as NDArray),
    );
    const { trace: both, split, gradients, heads } = joint(trace, [true], true);
    expect(both.externals.map((x) => x.array === factor)).toEqual([false, false, true]);
    const back = lower(both, {
      from: split,
      inputs: [heads[0]?.value ?? -1],
      outputs: [gradients[0]?.value ?? -1],
      writes: false,
      stable: () => false,
    });
    expect(back.inputs).toEqual([heads[0]?.value, both.externals[2]?.ref.value]);
    const [dx] = await interpret(back.graph, device, [bytesNow(nd.ones([3])), bytesNow(factor)]);
    expect(dx).toEqual(bytesNow(factor));
  });
});

describe('a replay under the tape', () => {
  test('gives second derivatives, and draws nothing that is fed', async () => {
    const x = nd.array([0.5, 1, 2]);
    x.attachGrad();
    const w = nd.array([1, 2, 3]);
    w.attachGrad();
    const count = nd.zeros([1]);
    nd.random.seed(4);
    const recorder = new Recorder({ name: 'fn', context: cpu(0), args: [x] });
    const fn = (y: NDArray): NDArray => {
      const recording = setRecording(false);
      count.iadd(1);
      setRecording(recording);
      return y
        .mul(y)
        .mul(w)
        .mul(nd.random.uniform(0, 1, [3]));
    };
    const [trace, y] = record(() => {
      const result = recorder.run(() => fn(x));
      return [recorder.finish([result]), result] as const;
    });
    const drawn = trace.steps.flatMap((s) => (s.kind === 'op' && s.op.family === 'random' ? s.outputs : []));
    expect(drawn).toHaveLength(1);
    nd.random.seed(4);
    const u = nd.random.uniform(0, 1, [3]);
    const again = record(() => {
      const [result] = replay(trace, (value) =>
        value === trace.externals[0]?.ref.value ? x : value === drawn[0]?.value ? u : undefined,
      );
      return result as NDArray;
    });
    expect(bytesNow(again)).toEqual(bytesNow(y));
    // without writes, what the result does not need does not run
    expect(await count.asscalar()).toBe(1);
    const [first] = record(() => grad(again, [x], { createGraph: true })) as [NDArray];
    const [second] = record(() => grad(first, [x])) as [NDArray];
    const expected = await w.mul(u).mul(2).data();
    (await second.data()).forEach((v, i) => {
      expect(v).toBeCloseTo(expected[i] as number, 6);
    });
  });
});
