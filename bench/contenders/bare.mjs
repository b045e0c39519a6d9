// WebGPU and nothing around it: the calls that a replay of that many dispatches cannot do without, on pipelines and bind groups made beforehand.
const CODE = `@group(0) @binding(0) var<storage, read> a: array<vec4f, 4>;
@group(0) @binding(1) var<storage, read> b: array<vec4f, 4>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f, 4>;
@group(0) @binding(3) var<uniform> scale: vec4f;
@compute @workgroup_size(4) fn multiply(@builtin(local_invocation_index) i: u32) {
  let row = a[i];
  y[i] = scale.x * (row.x * b[0] + row.y * b[1] + row.z * b[2] + row.w * b[3]);
}`;

/** Held for the process's life: Dawn stops answering once it is collected. */
let entryPoint;

async function adapter() {
  entryPoint = globalThis.navigator?.gpu;
  if (entryPoint) return entryPoint.requestAdapter();
  const dawn = 'webgpu';
  const { create, globals } = await import(/* @vite-ignore */ dawn);
  Object.assign(globalThis, globals);
  entryPoint = create([]);
  return entryPoint.requestAdapter();
}

export async function open() {
  const device = await (await adapter())?.requestDevice();
  if (!device) return { missing: 'no webgpu device here' };

  const buffer = (size, usage, values) => {
    const made = device.createBuffer({ size, usage: usage | GPUBufferUsage.COPY_DST });
    if (values) device.queue.writeBuffer(made, 0, values);
    return made;
  };

  function replay({ calls }, { x, w }) {
    const entry = (binding, type) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: type === 'uniform' ? { type, hasDynamicOffset: true } : { type },
    });
    const types = ['read-only-storage', 'read-only-storage', 'storage', 'uniform'];
    const layout = device.createBindGroupLayout({ entries: types.map((type, i) => entry(i, type)) });
    const pipelineOf = () =>
      device.createComputePipeline({
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module: device.createShaderModule({ code: CODE }), entryPoint: 'multiply' },
      });
    // two by turns, so that setting one is never setting the same again
    const pipelines = [pipelineOf(), pipelineOf()];
    const scale = buffer(256 * calls, GPUBufferUsage.UNIFORM);
    const params = new Float32Array(64 * calls).fill(1);
    device.queue.writeBuffer(scale, 0, params);
    const offsets = Uint32Array.from({ length: calls }, (_, i) => 256 * i);
    const kernel = buffer(64, GPUBufferUsage.STORAGE, w.data);
    const values = [buffer(64, GPUBufferUsage.STORAGE, x.data)];
    for (let i = 0; i < calls; i++) values.push(buffer(64, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC));
    const groups = Array.from({ length: calls }, (_, i) =>
      device.createBindGroup({
        layout,
        entries: [values[i], kernel, values[i + 1], scale].map((b, binding) => ({
          binding,
          resource: binding < 3 ? { buffer: b } : { buffer: b, size: 16 },
        })),
      }),
    );
    let encoder;
    let pass;
    return {
      run() {
        encoder = device.createCommandEncoder();
        pass = encoder.beginComputePass();
        for (let i = 0; i < calls; i++) {
          pass.setPipeline(pipelines[i & 1]);
          pass.setBindGroup(0, groups[i], offsets, i, 1);
          pass.dispatchWorkgroups(1);
        }
      },
      submit() {
        pass.end();
        device.queue.submit([encoder.finish()]);
      },
      wait: () => device.queue.onSubmittedWorkDone(),
      async output() {
        const staging = device.createBuffer({
          size: 64,
          usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
        });
        const copying = device.createCommandEncoder();
        copying.copyBufferToBuffer(values[calls], 0, staging, 0, 64);
        device.queue.submit([copying.finish()]);
        await staging.mapAsync(GPUMapMode.READ);
        const read = new Float32Array(staging.getMappedRange().slice(0));
        staging.destroy();
        return read;
      },
      dispose() {
        for (const b of [...values, kernel, scale]) b.destroy();
      },
    };
  }

  return { prepare: (work, inputs) => replay(work, inputs) };
}
