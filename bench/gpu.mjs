// This project on a real GPU, without a browser: WebGPU is Dawn (npm's `webgpu`) in Node. One file after `node bench/build.mjs`; bench/pytorch.py measures the same
// shapes in PyTorch under the same names. `--quick`: small shapes, for trying it on a software adapter. `--json FILE` keeps the figures.
//
// Times are host time around a batch of calls that ends in one wait, divided by their number: medians over batches, after warm-up. Inputs take turns, so that
// together they are larger than any cache; every kernel's result is compared with float64.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import * as webgluon from 'webgluon';
import { create, globals } from 'webgpu';
import { lenet, resnet8, resnet18 } from './nets.mjs';
import { distance, reference, TOLERANCE } from './reference.mjs';
import { summary, text } from './report.mjs';
import { conv, EPSILON, forward, inputsOf, matmul, rows, sampled, TRAINING, train } from './works.mjs';

const { values: given } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, json: { type: 'string' }, only: { type: 'string' } },
});
const { quick } = given;

Object.assign(globalThis, globals);
// held for the process's life: Dawn stops answering once it is collected
const entryPoint = create(['enable-dawn-features=vulkan_enable_f16_on_nvidia']);
if (globalThis.navigator === undefined) globalThis.navigator = {};
Object.defineProperty(globalThis.navigator, 'gpu', { value: entryPoint, configurable: true });

const { autograd, gluon, nd, openGpu } = webgluon;
const ctx = await openGpu({ allowSoftware: true, powerPreference: 'high-performance' });
const { info } = await entryPoint.requestAdapter({ powerPreference: 'high-performance' });
const adapter = [info.vendor, info.architecture, info.device, info.description].filter(Boolean).join(' ');
process.stdout.write(`adapter: ${adapter}\n`);

/** Larger than the second-level cache of any card in sight (60 MB on an H200), bytes. */
const CACHE = quick ? 2 ** 22 : 2 ** 28;
const BATCH_MS = quick ? 20 : 120;
const BATCHES = quick ? 3 : 7;

const results = [];
const wanted = (name) => given.only === undefined || name.includes(given.only);

/** Median ms of one call. `call(i)` does the i-th and leaves nothing behind; `wait` waits for all. */
async function time(call, wait) {
  let count = 0;
  const batch = async (n) => {
    const begin = performance.now();
    for (let i = 0; i < n; i++) call(count++);
    await wait();
    return (performance.now() - begin) / n;
  };
  await batch(3);
  let once = await batch(3);
  once = Math.min(once, await batch(Math.max(1, Math.min(50, Math.round(20 / once)))));
  const n = Math.max(1, Math.min(20_000, Math.round(BATCH_MS / once)));
  const times = [];
  for (let i = 0; i < BATCHES; i++) times.push(await batch(n));
  return summary(times);
}

function add(name, unit, ms, value, more = {}) {
  results.push({ name, unit, value, ms: ms?.median, low: ms?.low, high: ms?.high, ...more });
  const span = ms === undefined ? '' : ` (${text(ms.median)} ms, ${text(ms.low)} … ${text(ms.high)})`;
  const error = more.error === undefined ? '' : `, error ${more.error.toExponential(1)}`;
  process.stdout.write(
    `${name}: ${text(value)} ${unit}${span}${error}${more.wrong ? '  WRONG NUMBERS' : ''}\n`,
  );
}

const waitAll = () => nd.waitall();

/** One part; what goes wrong in it is said and leaves the others alone. */
async function part(name, run) {
  if (!wanted(name)) return;
  try {
    await run();
  } catch (error) {
    results.push({ name, error: String(error.message) });
    process.stdout.write(`${name}: failed: ${error.message}\n`);
  }
}

/** A function of arrays on inputs that take turns; compared with the reference once. */
const measure = (work, call, figure) => part(work.name, () => measureWork(work, call, figure));

async function measureWork(work, call, figure) {
  const inputs = inputsOf(work);
  const bytes = 4 * Object.values(inputs).reduce((sum, { data }) => sum + data.length, 0);
  const copies = Math.max(1, Math.min(64, Math.ceil(CACHE / bytes)));
  const sets = Array.from({ length: copies }, () =>
    Object.values(inputs).map(({ shape, data }) => nd.array(data, { ctx, shape })),
  );
  const y = call(...sets[0]);
  const values = await y.data();
  y.dispose();
  const error = distance(
    sampled(values.length).map((i) => values[i]),
    reference(work),
  );
  const ms = await time((i) => call(...sets[i % copies]).dispose(), waitAll);
  for (const array of sets.flat()) array.dispose();
  add(work.name, ...figure(work, ms), { error, wrong: !(error <= TOLERANCE) });
}

const tflops = ({ flops }, ms) => ['TFLOP/s', ms, flops / ms.median / 1e9];
const gigabytes = ({ bytes }, ms) => ['GB/s', ms, bytes / ms.median / 1e6];

/** What the card does without us: a kernel of vec4 copies, and the JavaScript of a bare dispatch. */
async function baselines() {
  const found = await entryPoint.requestAdapter({ powerPreference: 'high-performance' });
  const size = quick ? 2 ** 22 : 2 ** 27;
  const device = await found.requestDevice({
    requiredLimits: {
      maxStorageBufferBindingSize: Math.max(size, 2 ** 27),
      maxBufferSize: Math.max(size, 2 ** 28),
    },
  });
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffers = Array.from({ length: 4 }, () => device.createBuffer({ size, usage }));
  const module = device.createShaderModule({
    code: `@group(0) @binding(0) var<storage, read> x: array<vec4f>;
           @group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
           @compute @workgroup_size(256) fn copy(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) n: vec3u) {
             for (var i = id.x; i < arrayLength(&y); i += n.x * 256u) { y[i] = x[i]; }
           }`,
  });
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module, entryPoint: 'copy' },
  });
  const groupsOf = (bytes) =>
    buffers.map((buffer, i) =>
      device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: [
          { binding: 0, resource: { buffer, size: bytes } },
          { binding: 1, resource: { buffer: buffers[(i + 1) % buffers.length], size: bytes } },
        ],
      }),
    );
  const done = () => device.queue.onSubmittedWorkDone();
  const dispatch = (groups, workgroups, many) => (i) => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    for (let k = 0; k < many; k++) {
      pass.setBindGroup(0, groups[(i + k) % groups.length]);
      pass.dispatchWorkgroups(workgroups);
    }
    pass.end();
    device.queue.submit([encoder.finish()]);
  };
  for (const buffer of buffers) device.queue.writeBuffer(buffer, 0, new Float32Array(2 ** 16).fill(1.5));
  const most = Math.min(65535, size / 16 / 256);
  const ms = await time(dispatch(groupsOf(size), most, 1), done);
  add('copy, bare kernel', 'GB/s', ms, (2 * size) / ms.median / 1e6);
  // the host's share: many tiny dispatches a submit, the wait outside
  const times = [];
  const tiny = dispatch(groupsOf(256), 1, 64);
  for (let round = 0; round < 12; round++) {
    const begin = performance.now();
    for (let i = 0; i < 20; i++) tiny(i);
    times.push(((performance.now() - begin) / (20 * 64)) * 1000);
    await done();
  }
  const micros = summary(times.slice(2));
  add('JavaScript of a bare dispatch (bind group and dispatch)', 'µs', undefined, micros.median);
  for (const buffer of buffers) buffer.destroy();
  device.destroy();
}

/** Training steps on batches that take turns; compared with the reference. */
async function training(name, work, compiled) {
  const { batches, parameters } = inputsOf(work);
  const net = work.net === 'lenet' ? lenet(ctx, parameters) : resnet8(ctx, parameters);
  const data = batches.map(({ x, labels }) => [
    nd.array(x.data, { ctx, shape: x.shape }),
    nd.array(labels, { ctx, dtype: 'int32' }),
  ]);
  const { ms, losses } = await steps(net, data, compiled, TRAINING.rate, work.checked);
  const error = distance(losses, reference(work));
  add(name, 'steps/s', ms, 1000 / ms.median, { error, wrong: !(error <= TOLERANCE) });
}

/** The first losses, and what a step takes. */
async function steps(net, data, compiled, learningRate, checked) {
  const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
  const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate });
  const batch = data[0][0].shape[0];
  const plain = (x, y) => {
    const loss = autograd.record(() => lossFn(net(x), y));
    loss.backward();
    trainer.step(batch);
    return loss;
  };
  const step = compiled ? gluon.compileStep(plain) : plain;
  const losses = [];
  for (let i = 0; i < checked; i++) {
    const loss = step(...data[i % data.length]);
    const values = await loss.data();
    losses.push(values.reduce((a, b) => a + b, 0) / batch);
    loss.dispose();
  }
  const ms = await time((i) => step(...data[i % data.length]).dispose(), waitAll);
  for (const array of data.flat()) array.dispose();
  net.dispose();
  return { ms, losses };
}

/** Forwards one after the other, waited for at the end. */
async function forwards(name, work, compiled) {
  const { x, parameters } = inputsOf(work);
  const net = work.net === 'lenet' ? lenet(ctx, parameters) : resnet8(ctx, parameters);
  if (compiled) net.hybridize({ staticAlloc: true, staticShape: true });
  const input = nd.array(x.data, { ctx, shape: x.shape });
  let values;
  for (let i = 0; i < 3; i++) values = await net(input).data();
  const wanted = reference(work);
  const error = distance(
    sampled(values.length).map((i) => values[i]),
    wanted,
  );
  const ms = await time(() => net(input).dispose(), waitAll);
  add(name, 'ms', ms, ms.median, { error, wrong: !(error <= TOLERANCE) });
  input.dispose();
  net.dispose();
}

/** Forward and both gradients of a convolution, for a gradient of its output; both gradients are compared. */
async function convTraining(name, work, works) {
  const { x, w, dy } = inputsOf(works[0]);
  const [a, b, above] = [x, w, dy].map(({ shape, data }) => nd.array(data, { ctx, shape }));
  for (const array of [a, b]) array.attachGrad();
  const options = { stride: work.stride, pad: work.pad, numGroup: work.depthwise ? work.channels : 1 };
  const step = () => {
    const y = autograd.record(() => nd.convolution(a, b, null, options));
    y.backward(above);
    y.dispose();
  };
  step();
  const errors = [];
  for (const [i, array] of [a, b].entries()) {
    const values = await array.grad.data();
    errors.push(
      distance(
        sampled(values.length).map((k) => values[k]),
        reference(works[i]),
      ),
    );
  }
  const ms = await time(step, waitAll);
  const error = Math.max(...errors);
  add(name, 'TFLOP/s', ms, (3 * work.flops) / ms.median / 1e9, { error, wrong: !(error <= TOLERANCE) });
  for (const array of [a, b, above]) array.dispose();
}

/** ResNet-18 on random pictures: forward, or training with losses that must be finite. */
async function large(name, batch, trains) {
  const net = resnet18(ctx);
  const x = nd.random.uniform(0, 1, [batch, 3, 224, 224], { ctx });
  if (trains) {
    const labels = nd.array(
      Int32Array.from({ length: batch }, (_, i) => i),
      { ctx, dtype: 'int32' },
    );
    const { ms, losses } = await steps(net, [[x, labels]], true, 0.01, 3);
    const wrong = !losses.every((loss) => Number.isFinite(loss) && loss > 0);
    add(name, 'ms', ms, ms.median, { wrong });
    return;
  }
  net.hybridize({ staticAlloc: true, staticShape: true });
  for (let i = 0; i < 3; i++) net(x).dispose();
  const ms = await time(() => net(x).dispose(), waitAll);
  add(name, 'ms', ms, ms.median);
  x.dispose();
  net.dispose();
}

/** Host time of one eager call on 16 elements. */
async function perOperation() {
  const [a, b] = [nd.ones([16], { ctx }), nd.ones([16], { ctx })];
  const times = [];
  for (let round = 0; round < 24; round++) {
    const begin = performance.now();
    for (let i = 0; i < 512; i++) a.add(b).dispose();
    times.push(((performance.now() - begin) / 512) * 1000);
    await nd.waitall();
  }
  add('JavaScript of one eager add', 'µs', undefined, summary(times.slice(8)).median);
}

const SHAPES = quick
  ? { products: [[64], [128], [64, 8, 256]], size: 14, batch: 2, rows: { '64K': 2 ** 16 }, vector: 256 }
  : {
      products: [[256], [512], [1024], [2048], [4096], [8192], [16, 4096, 4096], [4096, 64, 4096]],
      size: 56,
      batch: 64,
      rows: { '1M': 2 ** 20, '16M': 2 ** 24, '32M': 2 ** 25 },
      vector: 8192,
    };

await part('bare', baselines);
for (const [m, n, k] of SHAPES.products) await measure(matmul(m, n, k), (a, b) => nd.dot(a, b), tflops);
await measure(
  { ...matmul(SHAPES.vector, 1, SHAPES.vector), bytes: 4 * SHAPES.vector ** 2 },
  (a, b) => nd.dot(a, b),
  gigabytes,
);

const { size, batch } = SHAPES;
/** The convolution, then its gradients by data and by weight. */
const layer = (inputs, channels, extent, kernel, stride = 1, depthwise = false) =>
  ['output', 'data', 'weight'].map((of) =>
    conv(
      `conv ${kernel}×${kernel}${depthwise ? ' depthwise' : ''}${stride > 1 ? ` stride ${stride}` : ''}, ${inputs}→${channels}, ${extent}×${extent}, batch ${batch}`,
      { batch, inputs, channels, size: extent, kernel, stride, pad: kernel >> 1, depthwise },
      of,
    ),
  );
const layers = quick
  ? [layer(16, 16, size, 3)]
  : [
      layer(64, 64, 56, 3),
      layer(128, 128, 28, 3),
      layer(256, 256, 14, 3),
      layer(512, 512, 7, 3),
      layer(64, 128, 56, 3, 2),
      layer(64, 256, 56, 1),
      layer(256, 64, 56, 1),
      layer(144, 144, 56, 3, 1, true),
    ];
for (const [work, ...gradients] of layers) {
  const { stride, pad, depthwise, channels } = work;
  await measure(
    work,
    (x, w) => nd.convolution(x, w, null, { stride, pad, numGroup: depthwise ? channels : 1 }),
    depthwise ? (_, ms) => ['GB/s', ms, (8 * batch * channels * work.size ** 2) / ms.median / 1e6] : tflops,
  );
  const both = `${work.name}, forward and both gradients`;
  if (!depthwise) await part(both, () => convTraining(both, work, gradients));
}

const bands = [
  ...rows('add', 'add', 3, SHAPES.rows).map((w) => [w, (x, y) => x.add(y)]),
  ...rows('sigmoid', 'sigmoid', 2, SHAPES.rows).map((w) => [w, (x) => nd.sigmoid(x)]),
  ...rows('softmax', 'softmax', 2, SHAPES.rows).map((w) => [w, (x) => x.softmax()]),
  ...rows('layerNorm', 'layer norm', 2, SHAPES.rows).map((w) => [
    w,
    (x, gamma, beta) => nd.layerNorm(x, gamma, beta, { eps: EPSILON }),
  ]),
];
for (const [work, call] of bands) await measure(work, call, gigabytes);

for (const compiled of [false, true]) {
  const how = compiled ? 'compiled' : 'eager';
  const trained = [train('lenet', 64), ...(quick ? [] : [train('resnet', 16)])];
  for (const work of trained)
    await part(`${work.name}, ${how}`, () => training(`${work.name}, ${how}`, work, compiled));
  for (const many of quick ? [1] : [1, 64, 1024]) {
    const name = `LeNet forward, batch ${many}, ${how}`;
    await part(name, () => forwards(name, forward('lenet', many), compiled));
  }
}
if (!quick) {
  for (const many of [1, 64]) {
    const name = `ResNet-18 forward, batch ${many}`;
    await part(name, () => large(name, many, false));
  }
  const name = 'ResNet-18 training step, batch 32';
  await part(name, () => large(name, 32, true));
}
await part('JavaScript of one eager add', perOperation);

process.stdout.write(`\n| ${adapter} | | |\n|---|---|---|\n`);
for (const { name, value, unit, wrong } of results)
  process.stdout.write(
    value === undefined
      ? `| ${name} | failed | |\n`
      : `| ${name} | ${text(value)} ${unit} | ${wrong ? 'WRONG NUMBERS' : ''} |\n`,
  );
if (given.json)
  writeFileSync(given.json, `${JSON.stringify({ adapter, node: process.version, results }, null, 1)}\n`);
process.exit(results.some((r) => r.wrong || r.value === undefined) ? 1 : 0);
