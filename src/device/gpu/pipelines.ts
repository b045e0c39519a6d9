// Compute pipelines, made on first use or ahead of it, and the layouts they share: one for each signature of bindings.
import type { Access, GpuShader } from './lowering.ts';
import { SLOT_BYTES } from './uniformRing.ts';
import { STAGE_COMPUTE } from './usage.ts';

/** Bind group and pipeline layout of a signature such as `read, read, read_write`, with the uniform block after them. */
export interface SharedLayout {
  /** Small and unique, for hashing. */
  readonly id: number;
  /** Storage bindings; the uniform block is binding `count`. */
  readonly count: number;
  readonly group: GPUBindGroupLayout;
  readonly pipeline: GPUPipelineLayout;
}

export interface Pipeline {
  readonly gpu: GPUComputePipeline;
  readonly layout: SharedLayout;
  /** For each storage binding, whether the shader writes it. */
  readonly writes: readonly boolean[];
}

export class Pipelines {
  readonly #device: GPUDevice;
  readonly #layouts = new Map<string, SharedLayout>();
  /** By identity, which is what a warm call looks up; by key for shaders made twice. */
  readonly #byShader = new WeakMap<GpuShader, Pipeline>();
  readonly #byKey = new Map<string, Pipeline>();
  readonly #coming = new Map<string, Promise<void>>();
  created = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** The pipeline of a shader; made now if need be (the driver may compile for milliseconds). */
  get(shader: GpuShader): Pipeline {
    return this.#byShader.get(shader) ?? this.#find(shader);
  }

  #find(shader: GpuShader): Pipeline {
    let pipeline = this.#byKey.get(shader.key);
    if (pipeline === undefined) {
      const layout = this.#layoutFor(shader.bindings);
      pipeline = this.#keep(
        shader,
        layout,
        this.#device.createComputePipeline(this.#describe(shader, layout)),
      );
    }
    this.#byShader.set(shader, pipeline);
    return pipeline;
  }

  /** Makes pipelines beside other work. Resolves when all are there; one that fails is left to `get`, which reports it. */
  async precompile(shaders: Iterable<GpuShader>, onEach?: () => void): Promise<void> {
    const waits: Promise<void>[] = [];
    for (const shader of shaders) {
      const { key } = shader;
      if (this.#byKey.has(key)) {
        onEach?.();
        continue;
      }
      let wait = this.#coming.get(key);
      if (wait === undefined) {
        const layout = this.#layoutFor(shader.bindings);
        wait = this.#device
          .createComputePipelineAsync(this.#describe(shader, layout))
          .then(
            (gpu) => void (this.#byKey.has(key) || this.#keep(shader, layout, gpu)),
            () => undefined,
          )
          .finally(() => this.#coming.delete(key));
        this.#coming.set(key, wait);
      }
      waits.push(onEach === undefined ? wait : wait.then(onEach));
    }
    await Promise.all(waits);
  }

  #keep(shader: GpuShader, layout: SharedLayout, gpu: GPUComputePipeline): Pipeline {
    this.created++;
    const pipeline: Pipeline = {
      gpu,
      layout,
      writes: shader.bindings.map((access) => access === 'read_write'),
    };
    this.#byKey.set(shader.key, pipeline);
    return pipeline;
  }

  #describe(shader: GpuShader, layout: SharedLayout): GPUComputePipelineDescriptor {
    const module = this.#device.createShaderModule({ label: shader.label, code: shader.code() });
    return { label: shader.label, layout: layout.pipeline, compute: { module, entryPoint: 'main' } };
  }

  #layoutFor(bindings: readonly Access[]): SharedLayout {
    const signature = bindings.join();
    let layout = this.#layouts.get(signature);
    if (layout === undefined) {
      const entries: GPUBindGroupLayoutEntry[] = bindings.map((access, binding) => ({
        binding,
        visibility: STAGE_COMPUTE,
        buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
      }));
      entries.push({
        binding: bindings.length,
        visibility: STAGE_COMPUTE,
        buffer: { type: 'uniform', hasDynamicOffset: true, minBindingSize: SLOT_BYTES },
      });
      const group = this.#device.createBindGroupLayout({ label: signature, entries });
      const pipeline = this.#device.createPipelineLayout({ label: signature, bindGroupLayouts: [group] });
      layout = { id: this.#layouts.size + 1, count: bindings.length, group, pipeline };
      this.#layouts.set(signature, layout);
    }
    return layout;
  }
}
