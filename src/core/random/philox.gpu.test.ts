// shaders/philox.wgsl against its TypeScript twin, bit for bit, on whatever adapter Node's WebGPU (Dawn) finds: a software one where there is no GPU.
import { afterAll, expect, test } from 'vitest';
import { create } from 'webgpu';
import body from '../../../shaders/philox.wgsl?raw';
import { type Draw, dispatchesOf, GpuGenerators, type PhiloxPlan, philoxConstants } from './philox.ts';
import { drawReference } from './philoxReference.ts';

const HEAD = `
struct Params { v: array<vec4<u32>, 16> }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
`;
// The numbers behind GPUBufferUsage, which Node lacks.
const [MAP_READ, COPY_SRC, COPY_DST, UNIFORM, STORAGE] = [1, 4, 8, 64, 128];

const gpu = create([]);
// Dawn dies if this is collected while its device works: the reference here holds it to the end
afterAll(() => expect(gpu).toBeDefined());
const adapter = await gpu.requestAdapter();
if (adapter === null)
  throw new Error('no WebGPU adapter: install Chromium, which brings SwiftShader, and a Vulkan loader');
const device = await adapter.requestDevice();
const pipelines = new Map<string, GPUComputePipeline>();

function pipelineFor(draw: Draw): GPUComputePipeline {
  const constants = philoxConstants(draw);
  let pipeline = pipelines.get(constants);
  if (pipeline === undefined) {
    const module = device.createShaderModule({ code: constants + HEAD + body });
    pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
    pipelines.set(constants, pipeline);
  }
  return pipeline;
}

async function run(plan: PhiloxPlan, offset = 0): Promise<Uint32Array> {
  const bytes = 4 * (plan.count + offset);
  device.pushErrorScope('validation');
  const out = device.createBuffer({ size: bytes, usage: STORAGE | COPY_SRC });
  const read = device.createBuffer({ size: bytes, usage: MAP_READ | COPY_DST });
  const pipeline = pipelineFor(plan.draw);
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  for (const { params, workgroups } of dispatchesOf(plan, offset)) {
    const uniform = device.createBuffer({ size: params.byteLength, usage: UNIFORM | COPY_DST });
    device.queue.writeBuffer(uniform, 0, params);
    const entries = [uniform, out].map((buffer, binding) => ({ binding, resource: { buffer } }));
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(...workgroups);
  }
  pass.end();
  encoder.copyBufferToBuffer(out, 0, read, 0, bytes);
  device.queue.submit([encoder.finish()]);
  expect(await device.popErrorScope()).toBeNull();
  await read.mapAsync(1);
  const words = new Uint32Array(read.getMappedRange().slice(0));
  for (const buffer of [out, read]) buffer.destroy();
  return words;
}

async function check(plan: PhiloxPlan): Promise<void> {
  const expected = new Uint32Array(drawReference(plan).buffer);
  const words = await run(plan);
  const wrong = expected.findIndex((word, i) => word !== words[i]);
  expect({ index: wrong, bits: words[wrong] }).toEqual({ index: -1, bits: undefined });
}

test("MXNet's first values", async () => {
  const uniform = await run(new GpuGenerators(0).plan({ kind: 'uniform', low: 0, high: 1 }, 4));
  expect([...new Float32Array(uniform.buffer)]).toEqual(
    [0.6686509, 0.17409194, 0.3850025, 0.24678314].map(Math.fround),
  );
  const normal = await run(new GpuGenerators(0).plan({ kind: 'normal', loc: 0, scale: 1 }, 2));
  expect([...new Float32Array(normal.buffer)]).toEqual([-1.3204551, 0.68232244].map(Math.fround));
});

const draws: readonly (readonly [string, Draw, number])[] = [
  ['uniform in [0, 1)', { kind: 'uniform', low: 0, high: 1 }, 300_000],
  ['uniform in [-0.07, 0.07)', { kind: 'uniform', low: -0.07, high: 0.07 }, 100_000],
  ['uniform in [3, 3.1)', { kind: 'uniform', low: 3, high: 3.1 }, 20_000],
  ['uniform in [-1e-6, 1)', { kind: 'uniform', low: -1e-6, high: 1 }, 20_000],
  ['uniform in [-100, 3e-7)', { kind: 'uniform', low: -100, high: 3e-7 }, 20_000],
  ['uniform in [-1e30, 1e30)', { kind: 'uniform', low: -1e30, high: 1e30 }, 20_000],
  ['uniform in [1e9, 1e9 + 1000)', { kind: 'uniform', low: 1e9, high: 1e9 + 1000 }, 20_000],
  ['uniform in [-1e-30, 2e-30)', { kind: 'uniform', low: -1e-30, high: 2e-30 }, 20_000],
  ['uniform in [2, 2]', { kind: 'uniform', low: 2, high: 2 }, 100],
  ['standard normal', { kind: 'normal', loc: 0, scale: 1 }, 300_000],
  ['normal about 0.1', { kind: 'normal', loc: 0.1, scale: 0.3 }, 50_001],
  ['narrow normal about 1000', { kind: 'normal', loc: 1000, scale: 0.01 }, 20_000],
  ['integers in [0, 10)', { kind: 'integers', low: 0, high: 10 }, 20_000],
  ['integers in [-5, 1000003)', { kind: 'integers', low: -5, high: 1000003 }, 20_000],
  ['integers over nearly all of int32', { kind: 'integers', low: -2147483648, high: 2147483647 }, 20_000],
  ['integers of one kind', { kind: 'integers', low: 7, high: 8 }, 100],
  ['dropout', { kind: 'dropout', rate: 0.3, shared: false }, 50_000],
  ['dropout with shared axes', { kind: 'dropout', rate: 0.5, shared: true }, 50_000],
];
test.each(draws)('%s', async (_name, draw, count) => {
  await check(new GpuGenerators(1).plan(draw, count));
});

test('from places that earlier draws left, at every lane and with normals owed', async () => {
  const generators = new GpuGenerators(5);
  const kinds: readonly Draw[] = [
    { kind: 'uniform', low: -1, high: 1 },
    { kind: 'normal', loc: 0, scale: 1 },
    { kind: 'integers', low: 0, high: 1000 },
    { kind: 'normal', loc: 0, scale: 1 },
    { kind: 'dropout', rate: 0.2, shared: false },
  ];
  for (const [i, count] of [1, 3, 65, 130, 1000, 67, 4097, 9, 333, 64, 128, 129, 5, 2, 777].entries()) {
    for (let copy = 0; copy < 4; copy++) {
      const draw = kinds[(i + copy) % kinds.length];
      if (draw !== undefined) await check(generators.plan(draw, count));
    }
  }
});

test('more places than one dispatch tells apart', async () => {
  const generators = new GpuGenerators(0);
  const draw: Draw = { kind: 'uniform', low: 0, high: 1 };
  for (let i = 30; i > 0; i--) for (let copy = 0; copy < 4; copy++) generators.plan(draw, 64 * i * 3 - 5);
  const plan = generators.plan({ kind: 'normal', loc: 0, scale: 1 }, 64 * 100);
  expect(dispatchesOf(plan).length).toBeGreaterThan(2);
  await check(plan);
});

test('places beyond 32 bits', async () => {
  const generators = new GpuGenerators(2);
  const segments = [
    { first: 0, position: 2 ** 34 + 5, pair: -1 },
    { first: 1, position: 2 ** 34 + 7, pair: 2 ** 34 - 3 },
    { first: 2, position: 2 ** 33 * 5 + 2, pair: 11 },
  ];
  generators.restore({ seed: 2, turn: 0, copies: [segments, segments, segments, segments] });
  await check(generators.plan({ kind: 'uniform', low: 0, high: 1 }, 200));
  await check(generators.plan({ kind: 'normal', loc: 0, scale: 1 }, 200));
});

test('the output may begin anywhere in its buffer', async () => {
  const plan = new GpuGenerators(0).plan({ kind: 'uniform', low: 0, high: 1 }, 10);
  const words = await run(plan, 7);
  expect([...words.slice(0, 7)]).toEqual(new Array(7).fill(0));
  expect([...new Float32Array(words.buffer, 28)]).toEqual([...drawReference(plan)]);
});
