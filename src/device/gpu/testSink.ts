// For unit tests only: the smallest thing that runs lowered kernels on Dawn (npm's `webgpu`) and gives their results back. One buffer per storage, one
// submit per call, nothing pooled, every GPU error thrown. The real device (gpuDevice.ts) is tested elsewhere.
import type { DType } from '../../core/dtype.ts';
import { bytesOf, fromHalf, toHalf } from '../../core/dtype.ts';
import { sizeOf } from '../../core/shape.ts';
import type { Operand } from '../../ir/kernel.ts';
import type { Storage } from '../../ir/storage.ts';
import type { DispatchSink, GpuShader, GpuTraits } from './lowering.ts';

interface TestStorage extends Storage {
  readonly gpuBuffer: GPUBuffer;
}

/** Numbers as the bytes of an array of `dtype`. */
export function encode(values: ArrayLike<number>, dtype: DType): ArrayBuffer {
  const n = values.length;
  switch (dtype) {
    case 'float32':
      return Float32Array.from(values).buffer;
    case 'float64':
      return Float64Array.from(values).buffer;
    case 'float16':
      return Uint16Array.from({ length: n }, (_, i) => toHalf(values[i] ?? 0)).buffer;
    case 'int32':
      return Int32Array.from(values).buffer;
    case 'uint32':
      return Uint32Array.from(values).buffer;
    case 'int8':
      return Int8Array.from(values).buffer;
    case 'uint8':
    case 'bool':
      return Uint8Array.from(values).buffer;
  }
}

/** The bytes of an array of `dtype` as numbers. */
export function decode(bytes: ArrayBuffer, dtype: DType): number[] {
  switch (dtype) {
    case 'float32':
      return [...new Float32Array(bytes)];
    case 'float64':
      return [...new Float64Array(bytes)];
    case 'float16':
      return [...new Uint16Array(bytes)].map(fromHalf);
    case 'int32':
      return [...new Int32Array(bytes)];
    case 'uint32':
      return [...new Uint32Array(bytes)];
    case 'int8':
      return [...new Int8Array(bytes)];
    case 'uint8':
    case 'bool':
      return [...new Uint8Array(bytes)];
  }
}

/** What a test needs of a GPU: arrays in, kernels run, arrays out. */
export class TestGpu implements DispatchSink {
  traits: GpuTraits;
  /** Dispatches since the beginning, and the WGSL of each shader by key, for tests that look at them. */
  dispatches = 0;
  readonly sources = new Map<string, string>();
  readonly #device: GPUDevice;
  readonly #pipelines = new Map<string, { layout: GPUBindGroupLayout; pipeline: GPUComputePipeline }>();
  readonly #buffers: GPUBuffer[] = [];
  readonly #params = new DataView(new ArrayBuffer(256));
  #given = 0;
  #nextBuffer = 1;
  #encoder: GPUCommandEncoder | undefined;

  constructor(device: GPUDevice, software: boolean) {
    this.#device = device;
    device.pushErrorScope('validation');
    this.traits = {
      software,
      subgroups: false,
      f16: false,
      maxWorkgroupStorage: device.limits.maxComputeWorkgroupStorageSize,
      maxInvocationsPerWorkgroup: device.limits.maxComputeInvocationsPerWorkgroup,
      maxWorkgroups: device.limits.maxComputeWorkgroupsPerDimension,
    };
  }

  /** Memory filled with 0xAB, so that what a kernel leaves unwritten shows. */
  temporary(bytes: number): Storage {
    return this.#storage(new Uint8Array(bytes).fill(0xab), bytes);
  }

  span(): Storage {
    throw new Error('these tests have one buffer per storage');
  }

  #storage(data: Uint8Array<ArrayBuffer>, bytes: number): TestStorage {
    const size = Math.max(4, Math.ceil(bytes / 4) * 4);
    const gpuBuffer = this.#device.createBuffer({
      size,
      usage: GPUBufferUsageBits.STORAGE | GPUBufferUsageBits.COPY_SRC | GPUBufferUsageBits.COPY_DST,
      mappedAtCreation: true,
    });
    const mapped = new Uint8Array(gpuBuffer.getMappedRange());
    mapped.fill(0xab);
    mapped.set(data);
    gpuBuffer.unmap();
    this.#buffers.push(gpuBuffer);
    return { buffer: this.#nextBuffer++, offset: 0, bytes, refs: 1, userRefs: 0, gpuBuffer };
  }

  /** An array with these numbers (or, without, with undefined contents). */
  array(shape: readonly number[], dtype: DType, values?: ArrayLike<number>): Operand {
    const n = sizeOf(shape);
    if (values !== undefined && values.length !== n)
      throw new Error(`a test gave ${values.length} values for ${n} elements`);
    const bytes = n * bytesOf(dtype);
    const data =
      values === undefined ? new Uint8Array(bytes).fill(0xab) : new Uint8Array(encode(values, dtype));
    return { storage: this.#storage(data, bytes), dtype, shape };
  }

  /** An array from its bytes: for NaN payloads and other bit patterns. */
  arrayOfBytes(shape: readonly number[], dtype: DType, bytes: ArrayBuffer): Operand {
    return { storage: this.#storage(new Uint8Array(bytes), bytes.byteLength), dtype, shape };
  }

  u32(value: number): void {
    this.#params.setUint32(this.#offset(), value, true);
  }
  i32(value: number): void {
    this.#params.setInt32(this.#offset(), value, true);
  }
  f32(value: number): void {
    this.#params.setFloat32(this.#offset(), value, true);
  }
  #offset(): number {
    if (this.#given === 64) throw new Error('more than 64 parameters');
    return 4 * this.#given++;
  }

  dispatch(shader: GpuShader, storages: readonly Storage[], x: number, y: number, z: number): void {
    this.#given = 0;
    if (shader.bindings.length !== storages.length)
      throw new Error(`${shader.key}: ${storages.length} storages for ${shader.bindings.length} bindings`);
    storages.forEach((s, i) => {
      if (
        storages.some(
          (t, j) => j !== i && t === s && (shader.bindings[i] !== 'read' || shader.bindings[j] !== 'read'),
        )
      )
        throw new Error(`${shader.key}: a storage is bound twice, and written`);
    });
    if (Math.max(x, y, z) > this.traits.maxWorkgroups)
      throw new Error(`${shader.key}: too many workgroups: ${x}, ${y}, ${z}`);
    if (x * y * z === 0) return;
    this.dispatches++;
    const device = this.#device;
    let made = this.#pipelines.get(shader.key);
    if (made === undefined) {
      const n = shader.bindings.length;
      const layout = device.createBindGroupLayout({
        entries: [
          ...shader.bindings.map((access, binding) => ({
            binding,
            visibility: 4,
            buffer: { type: access === 'read' ? ('read-only-storage' as const) : ('storage' as const) },
          })),
          { binding: n, visibility: 4, buffer: { type: 'uniform', hasDynamicOffset: true } },
        ],
      });
      const code = shader.code();
      this.sources.set(shader.key, code);
      const pipeline = device.createComputePipeline({
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module: device.createShaderModule({ code, label: shader.key }), entryPoint: 'main' },
      });
      made = { layout, pipeline };
      this.#pipelines.set(shader.key, made);
    } else if (this.sources.get(shader.key) !== shader.code())
      throw new Error(`${shader.key}: two codes under one key`);
    const uniform = device.createBuffer({
      size: 256,
      usage: GPUBufferUsageBits.UNIFORM,
      mappedAtCreation: true,
    });
    new Uint8Array(uniform.getMappedRange()).set(new Uint8Array(this.#params.buffer));
    uniform.unmap();
    this.#buffers.push(uniform);
    const bindGroup = device.createBindGroup({
      layout: made.layout,
      entries: [
        ...storages.map((s, binding) => ({ binding, resource: { buffer: (s as TestStorage).gpuBuffer } })),
        { binding: storages.length, resource: { buffer: uniform } },
      ],
    });
    this.#encoder ??= device.createCommandEncoder();
    const pass = this.#encoder.beginComputePass();
    pass.setPipeline(made.pipeline);
    pass.setBindGroup(0, bindGroup, [0]);
    pass.dispatchWorkgroups(x, y, z);
    pass.end();
  }

  /** The bytes of arrays, after all that was dispatched. Throws what went wrong on the GPU. */
  async readBytes(...arrays: readonly Operand[]): Promise<ArrayBuffer[]> {
    const device = this.#device;
    const encoder = this.#encoder ?? device.createCommandEncoder();
    this.#encoder = undefined;
    const staging = arrays.map((a) => {
      const from = (a.storage as TestStorage).gpuBuffer;
      const to = device.createBuffer({
        size: from.size,
        usage: GPUBufferUsageBits.MAP_READ | GPUBufferUsageBits.COPY_DST,
      });
      encoder.copyBufferToBuffer(from, 0, to, 0, from.size);
      return to;
    });
    device.queue.submit([encoder.finish()]);
    const error = await device.popErrorScope();
    device.pushErrorScope('validation');
    if (error !== null) throw new Error(error.message);
    const out: ArrayBuffer[] = [];
    for (const [i, buffer] of staging.entries()) {
      await buffer.mapAsync(1);
      out.push(buffer.getMappedRange().slice(0, arrays[i]?.storage.bytes));
      buffer.destroy();
    }
    return out;
  }

  /** The numbers of arrays, after all that was dispatched. */
  async read(...arrays: readonly Operand[]): Promise<number[][]> {
    const bytes = await this.readBytes(...arrays);
    return bytes.map((b, i) => decode(b, arrays[i]?.dtype ?? 'float32'));
  }

  /** Gives back the buffers made so far (not the pipelines). */
  clear(): void {
    for (const b of this.#buffers.splice(0)) b.destroy();
  }
}

// The numbers behind GPUBufferUsage, which Node lacks until Dawn's globals are installed.
const GPUBufferUsageBits = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128 } as const;

let opened: Promise<TestGpu> | undefined;
let gpu: GPU | undefined;

/** The process's one test GPU; throws where there is no adapter (see scripts/find-vulkan.mjs). Set `traits` to try other paths. */
export function testGpu(): Promise<TestGpu> {
  opened ??= (async () => {
    const { create } = await import('webgpu');
    // held for the process's life: Dawn hangs if it is collected
    gpu = create([]);
    const adapter = await gpu.requestAdapter();
    if (adapter === null)
      throw new Error(
        'expected a WebGPU adapter for tests, received none. Install Chromium (it brings SwiftShader) and a Vulkan loader.',
      );
    return new TestGpu(await adapter.requestDevice(), true);
  })();
  return opened;
}
