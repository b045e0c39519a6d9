// onnxruntime-web as its guides use it: a session with all graph optimizations; on WebGPU tensors stay on the device. Graph capture is off: in 1.30.0 every
// second captured run of even a lone MatMul gives wrong numbers (its issues 29594 and 28325). An elementwise or row operator stands eight times in a row in its
// model, a convolution four times (side by side where its output does not fit its input), a product four times, one of few rows sixteen times, so that
// WebAssembly's copies of input and output weigh that much less.
import { chained, lenetModel, operatorModel, resnetModel } from './onnxModel.mjs';

/** How often an operator stands in its model: several times where copies in and out (or, on a GPU, the call) would be a good part of the time. */
function repeatsOf(work, gpu) {
  const { kind, m, n } = work;
  if (gpu && (kind === 'matmul' || kind === 'conv')) return 1;
  if (kind === 'matmul') return chained(work) ? (m < n ? 16 : 4) : 1;
  return { conv: 4, add: 8, sigmoid: 8, softmax: 8, layerNorm: 8 }[kind] ?? 1;
}

/**
 * @param {{ backend: 'wasm' | 'webgpu', threads?: number, base: string }} options
 */
export async function open({ backend, threads, base }) {
  const gpu = backend === 'webgpu';
  const ort = gpu ? await import('onnxruntime-web/webgpu') : await import('onnxruntime-web/wasm');
  if (base !== undefined) ort.env.wasm.wasmPaths = `${base}ort/`;
  if (threads !== undefined) ort.env.wasm.numThreads = threads;
  ort.env.logLevel = 'error';

  const options = { executionProviders: [backend], graphOptimizationLevel: 'all' };

  async function device() {
    return await ort.env.webgpu.device;
  }

  /** A tensor in its own buffer on the device. */
  async function onDevice({ shape, data }) {
    const d = await device();
    const size = 4 * shape.reduce((a, b) => a * b, 1);
    const buffer = d.createBuffer({
      size: Math.ceil(size / 16) * 16,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    if (data !== undefined) d.queue.writeBuffer(buffer, 0, data);
    return ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: shape });
  }

  async function valuesOf({ gpuBuffer, size }) {
    const d = await device();
    const staging = d.createBuffer({
      size: 4 * size,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    const encoder = d.createCommandEncoder();
    encoder.copyBufferToBuffer(gpuBuffer, 0, staging, 0, 4 * size);
    d.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const values = new Float32Array(staging.getMappedRange().slice(0));
    staging.destroy();
    return values;
  }

  /** One model on the CPU: tensors live in JavaScript and are copied in and out, there is no other way. */
  async function wasmJob(model, inputs, read) {
    const made = await ort.InferenceSession.create(model, options);
    const feeds = Object.fromEntries(
      Object.entries(inputs).map(([name, { shape, data }]) => [name, new ort.Tensor('float32', data, shape)]),
    );
    let values;
    return {
      async run() {
        const y = Object.values(await made.run(feeds))[0];
        values = read ? await y.getData() : y.data;
      },
      output: async () => values,
      dispose: () => made.release(),
    };
  }

  /** A session on WebGPU with inputs and output in buffers of its own, run once. */
  async function gpuSession(model, inputs, outputs, preferredLayout) {
    const [[name, shape]] = Object.entries(outputs);
    const made = await ort.InferenceSession.create(model, {
      ...options,
      executionProviders: [{ name: 'webgpu', preferredLayout }],
      preferredOutputLocation: 'gpu-buffer',
    });
    const feeds = {};
    for (const [input, value] of Object.entries(inputs)) feeds[input] = await onDevice(value);
    const y = await onDevice({ shape });
    const run = () => made.run(feeds, { [name]: y });
    await run();
    const dispose = async () => {
      await made.release();
      for (const { gpuBuffer } of [...Object.values(feeds), y]) gpuBuffer.destroy();
    };
    return { run, y, dispose };
  }

  /** In its own layout NHWC where that gives the numbers wanted, else in NCHW. */
  async function gpuJob(model, inputs, outputs, read, isRight) {
    let session = await gpuSession(model, inputs, outputs, 'NHWC');
    let note;
    if (!isRight(await valuesOf(session.y))) {
      await session.dispose();
      session = await gpuSession(model, inputs, outputs, 'NCHW');
      note = 'in NCHW: in NHWC its numbers are wrong';
    }
    let values;
    return {
      note,
      async run() {
        await session.run();
        if (read) values = await valuesOf(session.y);
      },
      wait: read ? undefined : async () => (await device()).queue.onSubmittedWorkDone(),
      output: async () => values ?? valuesOf(session.y),
      dispose: () => session.dispose(),
    };
  }

  const jobOf = ({ model, outputs }, inputs, read, isRight = () => true) =>
    gpu ? gpuJob(model, inputs, outputs, read, isRight) : wasmJob(model, inputs, read);

  return {
    version: ort.env.versions.web,
    lacks: ({ kind, of }) =>
      of === 'weight'
        ? 'no such operator'
        : { train: 'cannot train', op: 'no eager operations', replay: 'not measured' }[kind],
    async prepare(work, inputs, isRight) {
      if (work.kind === 'forward') {
        const model = work.net === 'lenet' ? lenetModel : resnetModel;
        return jobOf(model(work.batch, inputs.parameters), { x: inputs.x }, true, isRight);
      }
      const feeds = { ...inputs };
      if (work.kind === 'conv' || work.kind === 'gradient') delete feeds.w;
      if (work.kind === 'gradient') delete feeds.x;
      if (work.kind === 'layerNorm') for (const name of ['gamma', 'beta']) delete feeds[name];
      if (work.kind === 'add') {
        feeds.other = feeds.y;
        delete feeds.y;
      }
      const repeat = repeatsOf(work, gpu);
      const job = await jobOf(
        operatorModel(work, inputs, repeat),
        feeds,
        false,
        repeat === 1 ? isRight : undefined,
      );
      if (repeat === 1) return job;
      const once = await jobOf(operatorModel(work, inputs, 1), feeds, false);
      return {
        ...job,
        repeat,
        async output() {
          await once.run();
          return once.output();
        },
        async dispose() {
          await job.dispose();
          await once.dispose();
        },
      };
    },
  };
}
