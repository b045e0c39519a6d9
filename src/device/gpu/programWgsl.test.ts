// What networks become on a GPU, in snapshots: the dispatches of their programs, and the generated part of each shader (bodies are files of their own, and the
// library of functions is left out). So a change in fusion, planning or generated text is seen in review.
import { expect, test } from 'vitest';
import type { NDArray } from '../../array/ndarray.ts';
import { setRecording, setTraining } from '../../autograd/mode.ts';
import { cpu } from '../../core/context.ts';
import * as nn from '../../gluon/nn/index.ts';
import { joint } from '../../graph/joint.ts';
import { lower } from '../../graph/lower.ts';
import { optimize } from '../../graph/passes/optimize.ts';
import { plan } from '../../graph/plan.ts';
import { traceAbstract } from '../../graph/standIn.ts';
import { nets } from '../../graph/testNets.ts';
import type { Trace } from '../../graph/trace.ts';
import type { Graph } from '../../ir/graph.ts';
import type { Plan } from '../../ir/plan.ts';
import * as nd from '../../nd/index.ts';
import { FAKE_TRAITS } from './fakeGpu.ts';
import type { GpuTraits } from './lowering.ts';
import { mathFor } from './mathLibrary.ts';
import type { RecordedDispatch } from './programSink.ts';
import { recordPlan } from './programSink.ts';
import { CONVERSIONS } from './wgslTypes.ts';

const REAL: GpuTraits = { ...FAKE_TRAITS, maxWorkgroupStorage: 32768 };
type Net = nn.HybridBlock & ((x: NDArray) => NDArray);

class Residual extends nn.HybridBlock {
  readonly conv1 = new nn.Conv2D(8, 3, { padding: 1, useBias: false });
  readonly bn1 = new nn.BatchNorm();
  readonly conv2 = new nn.Conv2D(8, 3, { padding: 1, useBias: false });
  readonly bn2 = new nn.BatchNorm();

  override forward(x: NDArray): NDArray {
    const y = this.bn1(this.conv1(x)).relu();
    return this.bn2(this.conv2(y)).add(x).relu();
  }
}

function known(name: string): Net {
  const found = nets.find((net) => net.name === name);
  if (found === undefined) throw new Error(`no net ${name}`);
  return found.make() as unknown as Net;
}

function traced(net: Net, shape: readonly number[], training: boolean): Trace {
  net.initialize();
  net(nd.zeros(shape));
  const before = [setTraining(training), setRecording(training)] as const;
  try {
    return traceAbstract('net', cpu(0), [{ shape, dtype: 'float32' }], ([x]) => net(x as NDArray));
  } finally {
    setTraining(before[0]);
    setRecording(before[1]);
  }
}

function forward(net: Net, shape: readonly number[]): Plan {
  const trace = traced(net, shape, false);
  const { graph } = lower(trace, {
    outputs: trace.results.map((r) => r.value),
    writes: true,
    stable: ({ argument }) => argument === null,
  });
  return planned(graph);
}

const planned = (graph: Graph): Plan => plan(optimize(graph, { kind: 'gpu', maxBindings: 8 }));

/** `input 3`, `slot 0`, … of a memory's number. */
function memoryText(p: Plan, memory: number): string {
  const kinds = [
    ['input', p.inputs],
    ['output', p.outputs],
    ['slot', p.slots.length],
    ['constant', p.constants.length],
  ] as const;
  let rest = memory;
  for (const [kind, count] of kinds) {
    if (rest < count) return `${kind} ${rest}`;
    rest -= count;
  }
  return `temporary ${rest}`;
}

function dispatchText(p: Plan, { shader, memories, x, y, z, dynamic, step }: RecordedDispatch): string {
  const bound = memories.map(
    (memory, i) => `${memoryText(p, memory)}${shader.bindings[i] === 'read_write' ? ' (written)' : ''}`,
  );
  const scalars = dynamic.map(({ word, slot, type }) => `, word ${word} = ${type} scalar ${slot}`).join('');
  return `${step.ops.join('+')} [${shader.label}]: ${bound.join(', ')}; ${x} × ${y} × ${z} workgroups${scalars}`;
}

/** A shader without its body and without what it calls of the libraries. */
function generated(code: string): string {
  let text = code.replace(CONVERSIONS, '');
  for (const piece of mathFor(code).split(/\n(?=fn |var<)/)) text = text.replace(`${piece.trim()}\n`, '');
  const body = /^\/\/ (?!One of the products)/m.exec(text)?.index;
  return text.slice(0, body).trim();
}

function texts(p: Plan, traits: GpuTraits): { readonly dispatches: string; readonly shaders: string } {
  const { dispatches, prologue } = recordPlan(p, traits);
  const lines = dispatches.map((d, i) => `${i < prologue ? 'once: ' : ''}${dispatchText(p, d)}`);
  const shaders = [...new Set(dispatches.map(({ shader }) => shader))].map(
    (shader) => `=== ${shader.label}\n${generated(shader.code())}`,
  );
  return { dispatches: lines.join('\n'), shaders: shaders.join('\n\n') };
}

test.each([
  ['LeNet', () => known('LeNet'), [64, 1, 28, 28]],
  ['a residual block', () => new Residual() as unknown as Net, [2, 8, 14, 14]],
  ['an attention block', () => known('attention'), [2, 16, 8]],
] as const)('%s', (_, make, shape) => {
  const { dispatches, shaders } = texts(forward(make(), shape), REAL);
  expect(dispatches).toMatchSnapshot('dispatches');
  expect(shaders).toMatchSnapshot('shaders');
});

test('LeNet’s gradients', () => {
  const trace = traced(known('LeNet'), [64, 1, 28, 28], true);
  const wants = trace.externals.map(({ argument }) => argument === null);
  const both = joint(trace, wants, true);
  const { graph } = lower(both.trace, {
    outputs: [both.trace.results, both.gradients.flatMap((g) => (g === null ? [] : [g]))]
      .flat()
      .map((r) => r.value),
    writes: false,
    stable: () => false,
  });
  expect(texts(planned(graph), REAL).dispatches).toMatchSnapshot();
});
