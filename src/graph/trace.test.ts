import { describe, expect, test } from 'vitest';
import { arraysIn, bodyOf, type NDArray } from '../array/ndarray.ts';
import { record, trainMode } from '../autograd/api.ts';
import { setRecording, setTraining } from '../autograd/mode.ts';
import { cpu } from '../core/context.ts';
import { deviceOf } from '../device/registry.ts';
import * as nn from '../gluon/nn/index.ts';
import { Block } from '../gluon/nn/index.ts';
import * as nd from '../nd/index.ts';
import { slots } from '../ops/invoke.ts';
import { lower } from './lower.ts';
import { replay } from './replay.ts';
import { traceAbstract } from './standIn.ts';
import { faultsOf, interpret } from './testGraphs.ts';
import { arrayOf, bytesNow, inputsOf, type NetCase, nets } from './testNets.ts';
import { Recorder, type Trace, type TraceStep } from './trace.ts';

const device = deviceOf(cpu(0));

type Net = ReturnType<NetCase['make']>;

function blockOf(net: Net): Block | null {
  const { net: inner } = net as { net?: Block };
  return net instanceof Block ? net : (inner ?? null);
}

function made(c: NetCase): Net {
  nd.random.seed(5);
  const net = c.make();
  blockOf(net)?.initialize();
  return net;
}

function listOf(value: unknown): NDArray[] {
  return [...arraysIn(value)];
}

function withModes<R>(training: boolean, recording: boolean, fn: () => R): R {
  const [a, b] = [setTraining(training), setRecording(recording)];
  try {
    return fn();
  } finally {
    setTraining(a);
    setRecording(b);
  }
}

/** The arrays that a net changes by running. */
function stateOf(net: Net): Uint8Array[] {
  const parameters = blockOf(net)?.collectParams().values() ?? [];
  return [...parameters].map((p) => bytesNow(p.data()));
}

/** One traced run of a net, real. */
function traced(net: Net, args: NDArray[]): { readonly trace: Trace; readonly results: NDArray[] } {
  const recorder = new Recorder({ name: 'net', context: cpu(0), args });
  const results = listOf(recorder.run(() => net(...args)));
  return { trace: recorder.finish(results), results };
}

function namesOf(steps: readonly TraceStep[]): string[] {
  return steps.map((s) =>
    s.kind === 'op'
      ? `${s.op.name}(${s.inputs.map((x) => `${x.array}:${x.value}`).join()})→${s.outputs.map((x) => `${x.array}:${x.value} ${x.shape.join('x')} ${x.dtype}`).join()}`
      : s.kind,
  );
}

describe.each(nets.map((c) => [c.name, c] as const))('%s', (_, c) => {
  const modes = [
    ['inference', false],
    ['training', true],
  ] as const;

  test.each(modes)('%s: a replay is the eager run', (_mode, training) => {
    const runs = [true, false].map((compiled) => {
      const net = made(c);
      const args = inputsOf(c);
      return withModes(training, false, () => {
        nd.random.seed(1);
        if (!compiled) {
          net(...args);
          return [...listOf(net(...args)).map(bytesNow), ...stateOf(net)];
        }
        const { trace } = traced(net, args);
        const results = replay(
          trace,
          (v) => args[trace.externals.find((x) => x.ref.value === v)?.argument ?? -1],
          {
            writes: true,
          },
        );
        return [...results.map(bytesNow), ...stateOf(net)];
      });
    });
    expect(runs[0]?.length).toBeGreaterThan(0);
    expect(runs[0]).toEqual(runs[1]);
  });

  test.each(modes)(
    '%s: stand-ins give the trace without running, and its kernels give the eager run',
    async (_mode, training) => {
      const net = made(c);
      const args = inputsOf(c);
      // parameters that wait for a shape are drawn by the first call
      withModes(false, false, () => net(...args));
      const before = stateOf(net);
      const dispatches = device.stats.dispatches;
      nd.random.seed(3);
      const trace = withModes(training, false, () =>
        traceAbstract('net', cpu(0), args, (inputs) => net(...inputs)),
      );
      expect(device.stats.dispatches).toBe(dispatches);
      expect(stateOf(net)).toEqual(before);
      expect(slots.trace).toBeNull();
      expect(slots.standIn).toBeNull();

      const { graph, writes, inputs } = lower(trace, {
        outputs: trace.results.map((x) => x.value),
        writes: true,
        stable: (x) => x.argument === null,
      });
      expect(faultsOf(graph)).toBe('');
      expect(inputs).toEqual(trace.externals.map((x) => x.ref.value));
      const given = trace.externals.map((x) => bytesNow(arrayOf(x, args)));
      const outputs = await interpret(graph, device, given);

      // nothing was drawn by the stand-ins, nor was the seed moved on but by this
      nd.random.seed(3);
      const real = withModes(training, false, () => traced(net, args));
      expect(namesOf(real.trace.steps)).toEqual(namesOf(trace.steps));
      expect(real.trace.externals.map((x) => x.array)).toEqual(trace.externals.map((x) => x.array));
      const written = writes.map((w) => bytesNow(w.array as NDArray));
      const expected = [...real.results.map(bytesNow), ...written];
      nd.random.seed(3);
      expect(await interpret(graph, device, given)).toEqual(expected);
      if (!trace.steps.some((s) => s.kind === 'op' && s.op.family === 'random'))
        expect(outputs).toEqual(expected);
    },
  );
});

function tracedFunction(fn: (x: NDArray) => unknown, x = nd.ones([2, 3])): Trace {
  const recorder = new Recorder({ name: 'fn', context: cpu(0), args: [x] });
  return recorder.finish(listOf(recorder.run(() => fn(x))));
}

describe('a trace', () => {
  test('views share a value, writes in place make the next', () => {
    const trace = tracedFunction((x) => {
      const y = x.add(1);
      const flat = y.reshape([6]);
      flat.imul(3);
      return [y, flat];
    });
    const [y, flat] = trace.results;
    expect(y?.value).toBe(flat?.value);
    expect(y?.array).not.toBe(flat?.array);
    expect(trace.values.length).toBe(3);
    expect(trace.writes).toEqual([]);
  });

  test('a write into an array that was there is one of the trace; its handle is kept, arguments are not', () => {
    const state = nd.zeros([2, 3]);
    const trace = tracedFunction((x) => {
      state.iadd(x);
      return state.mul(2);
    });
    expect(trace.externals.map((x) => [x.argument, x.array])).toEqual([
      [0, null],
      [null, state],
    ]);
    expect(trace.writes.map((w) => [w.external, w.array])).toEqual([[1, state]]);
    const { graph } = lower(trace, { outputs: [], writes: true, stable: () => false });
    expect(graph.into).toEqual([1]);
  });

  test('a write into an argument names it by its place', () => {
    const trace = tracedFunction((x) => x.iadd(1));
    expect(trace.writes.map((w) => [w.external, w.array])).toEqual([[0, null]]);
    expect(trace.results[0]?.value).toBe(trace.writes[0]?.ref.value);
  });

  test('a gradient that backward stored is a write; adding to one is a write in place', () => {
    const [w, v] = [nd.ones([3]), nd.ones([3])];
    w.attachGrad();
    v.attachGrad('add');
    const trace = tracedFunction((x) => {
      const y = record(() => x.mul(w).mul(v));
      y.backward();
    });
    expect(trace.writes.map((s) => [s.external === null, s.array === w.grad || s.array === v.grad])).toEqual([
      [false, true],
      [true, true],
    ]);
    expect(trace.writes.map((s) => s.array)).toEqual([v.grad, w.grad]);
    expect(trace.effects).toHaveLength(2);
    // the gradient of the first run is not part of what the next one starts from
    expect(trace.externals.map((x) => x.array)).toContain(v.grad);
  });

  test('reads inside are refused, at once, and name the block', () => {
    for (const [op, read] of [
      ['data', (x: NDArray) => x.data()],
      ['asscalar', (x: NDArray) => x.sum().asscalar()],
      ['array', (x: NDArray) => x.array()],
      ['print', (x: NDArray) => x.print()],
      ['nd.save', (x: NDArray) => nd.save(x)],
      ['asInContext', (x: NDArray) => x.asInContext(cpu(1))],
    ] as const) {
      expect(() => tracedFunction((x) => void read(x))).toThrow(
        new RegExp(`\\[fn\\] expected no values to be read .* received ${op}`),
      );
      expect(() => traceAbstract('fn', cpu(0), [nd.ones([2])], ([x]) => void read(x as NDArray))).toThrow(
        /expected no values/,
      );
      expect(slots.trace).toBeNull();
    }
  });

  test('a read whose error became a rejected Promise is refused at the end', () => {
    const later = async (x: NDArray): Promise<number> => x.sum().asscalar();
    expect(() =>
      tracedFunction((x) => {
        later(x).catch(() => undefined);
        return x;
      }),
    ).toThrow(/expected no values/);
  });

  test('a reader that allows it abandons the trace and goes on', async () => {
    const seen: string[] = [];
    const x = nd.ones([2]);
    const recorder = new Recorder({
      name: 'fn',
      context: cpu(0),
      args: [x],
      onRead: (op) => void seen.push(op),
    });
    const value = recorder.run(() => x.mul(2).sum().asscalar());
    expect(await value).toBe(4);
    expect(seen).toEqual(['asscalar']);
  });

  test('names the block that ran an operation, and whether it was recorded', () => {
    const net = new nn.HybridSequential({ prefix: 'net_' }).add(new nn.Dense(2), new nn.BatchNorm());
    net.initialize();
    const x = nd.ones([2, 3]);
    net(x);
    const trace = record(() => {
      const recorder = new Recorder({ name: 'net', context: cpu(0), args: [x] });
      return recorder.finish([recorder.run(() => net(x))]);
    });
    const steps = trace.steps.flatMap((s) => (s.kind === 'op' ? [s] : []));
    expect(steps.filter((s) => s.op.name === 'followStatistics').map((s) => s.recorded)).toEqual([
      false,
      false,
    ]);
    expect(steps[0]?.recorded).toBe(true);
  });

  test('arrays of host bytes are constants, which hold their own bytes', () => {
    const host = Float32Array.of(1, 2, 3);
    const trace = tracedFunction((x) => x.add(nd.array(host)));
    host.fill(0);
    const [bytes] = [...trace.constants.values()];
    expect([...new Float32Array((bytes as Uint8Array).slice().buffer)]).toEqual([1, 2, 3]);
  });

  test('holds no memory of the run', () => {
    const inUse = (): number => device.memory().bytesInUse;
    const x = nd.ones([64, 64]);
    const before = inUse();
    nd.scope(() => {
      tracedFunction((y) => y.add(1).mul(y).sum(), x);
    });
    expect(inUse()).toBe(before);
  });

  test('a trace within a trace is a mistake of the library', () => {
    const recorder = new Recorder({ name: 'fn', context: cpu(0), args: [] });
    expect(() => recorder.run(() => recorder.run(() => 1))).toThrow('within a trace');
    expect(slots.trace).toBeNull();
  });
});

describe('stand-ins', () => {
  test('take the place of parameters and of what is drawn, and leave both alone', () => {
    const w = nd.ones([3]);
    const [was] = [bytesNow(w)];
    const version = bodyOf(w, 'test').storage.version;
    nd.random.seed(9);
    const trace = traceAbstract('fn', cpu(0), [{ shape: [2, 3], dtype: 'float32' }], ([x]) => {
      w.iadd(1);
      return (x as NDArray).mul(w).add(nd.random.uniform(0, 1, [3]));
    });
    const after = bytesNow(nd.random.uniform(0, 1, [4]));
    nd.random.seed(9);
    expect(bytesNow(nd.random.uniform(0, 1, [4]))).toEqual(after);
    expect(bytesNow(w)).toEqual(was);
    expect(bodyOf(w, 'test').storage.version).toBe(version);
    expect(trace.writes.map((x) => x.array)).toEqual([w]);
    expect(trace.externals.map((x) => x.argument)).toEqual([0, null]);
  });

  test('parameters that wait for a shape get it, and their values', () => {
    const net = new nn.HybridSequential().add(new nn.Conv2D(3, 3), new nn.Dense(2));
    nd.random.seed(2);
    net.initialize();
    traceAbstract('net', cpu(0), [{ shape: [1, 2, 5, 5], dtype: 'float32' }], ([x]) => net(x as NDArray));
    const first = stateOf(net as Net);
    const other = new nn.HybridSequential().add(new nn.Conv2D(3, 3), new nn.Dense(2));
    nd.random.seed(2);
    other.initialize();
    other(nd.ones([1, 2, 5, 5]));
    expect(stateOf(other as Net)).toEqual(first);
  });

  test('label checks pass them by', () => {
    const c = nets.find((n) => n.name === 'embedding and a loss') as NetCase;
    const net = made(c);
    const args = inputsOf(c);
    net(...args);
    expect(trainMode(() => traceAbstract('net', cpu(0), args, (x) => net(...x))).results).toHaveLength(1);
    expect(() => traced(net, [args[0] as NDArray, nd.array([0, 9, 1, 1], { dtype: 'int32' })])).toThrow(
      /labels/,
    );
  });
});
