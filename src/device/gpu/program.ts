// A plan made ready for one GPU, and its replay: flat lists of pipelines, bind groups, offsets and workgroup counts, walked in the encoder's open pass.
// What the lists say is found in programSink.ts, parameters lie in programUniforms.ts. A bind group is looked up again only where a buffer has changed
// since the run before.
import type { Kernel, Operand } from '../../ir/kernel.ts';
import type { Plan, PlanOperand } from '../../ir/plan.ts';
import type { Storage } from '../../ir/storage.ts';
import type { CompileOptions, Program, ProgramStats } from '../device.ts';
import type { Counter } from './bindGroups.ts';
import { BindGroups } from './bindGroups.ts';
import type { BufferPool } from './bufferPool.ts';
import type { Encoder } from './encoder.ts';
import type { Pipeline, Pipelines } from './pipelines.ts';
import type { MemoryLayout } from './programLayout.ts';
import { layOut } from './programLayout.ts';
import type { MemorySpan, RecordedCall, RecordedDispatch, Recording } from './programSink.ts';
import { memoryOf, recordPlan } from './programSink.ts';
import { ProgramUniforms } from './programUniforms.ts';
import type { GpuStorage, Poison } from './storage.ts';

/** What a program needs of its device. */
export interface ProgramHost {
  readonly gpu: GPUDevice;
  readonly encoder: Encoder;
  readonly pool: BufferPool;
  readonly pipelines: Pipelines;
  readonly counter: Counter;
  readonly isLost: boolean;
  /** Counted memory. */
  take(bytes: number, op: string): GpuStorage;
  free(storage: Storage): void;
  write(storage: Storage, data: ArrayBufferView): void;
  /** The storage as the device's own; throws for another's. */
  own(storage: Storage, op: string): GpuStorage;
  run(
    kernel: Kernel,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    dims: readonly number[],
    scalars: readonly number[],
  ): void;
  /** So many bytes more than what is counted are in use for a moment. */
  peak(bytes: number): void;
  forget(program: GpuProgram): void;
}

/** An input that shares its buffer with an output of the same dispatch: it is copied out before. */
interface Apart {
  readonly dispatch: number;
  readonly from: GpuStorage;
  readonly to: GpuStorage;
}

/** Bind groups kept per dispatch: as many sets of buffers take turns without a new one being made. */
const GROUPS_EACH = 8;

/** Records dispatches `from` … `to` − 1; returns the pipeline that is set after them. */
function encode(
  pass: GPUComputePassEncoder,
  pipelines: readonly GPUComputePipeline[],
  groups: readonly GPUBindGroup[],
  offsets: Uint32Array,
  grid: Uint32Array,
  from: number,
  to: number,
): GPUComputePipeline | undefined {
  let last: GPUComputePipeline | undefined;
  for (let d = from; d < to; d++) {
    const pipeline = pipelines[d] as GPUComputePipeline;
    if (pipeline !== last) {
      pass.setPipeline(pipeline);
      last = pipeline;
    }
    pass.setBindGroup(0, groups[d] as GPUBindGroup, offsets, d, 1);
    pass.dispatchWorkgroups(grid[3 * d] as number, grid[3 * d + 1], grid[3 * d + 2]);
  }
  return last;
}

export class GpuProgram implements Program {
  readonly ready: Promise<void>;
  readonly #host: ProgramHost;
  readonly #plan: Plan;
  readonly #name: string;
  readonly #recording: Recording;
  readonly #uniforms: ProgramUniforms;
  readonly #cache: BindGroups;
  readonly #grid: Uint32Array;
  /** By memory: the storage of the last run. */
  readonly #storages: (GpuStorage | undefined)[];
  /** By dispatch: whether its bind group must be looked up. */
  readonly #stale: Uint8Array;
  #anyStale = true;
  readonly #groups: GPUBindGroup[] = [];
  #pipelines: GPUComputePipeline[] = [];
  #made: Pipeline[] = [];
  readonly #layout: MemoryLayout;
  readonly #lentBytes: number;
  /** How many of the lent memories a run has at the moment. */
  #borrowed = 0;
  /** What a run wrote, for the encoder; and how many bytes all its dispatches write. */
  readonly #written: GpuStorage[] = [];
  #writtenBytes = 0;
  #apart: Apart[] = [];
  readonly #bound: GpuStorage[] = [];
  #begun = false;
  /** Whether the prologue's results are there. */
  #prepared = false;
  #disposed = false;
  #runs = 0;

  constructor(host: ProgramHost, plan: Plan, options: CompileOptions) {
    this.#host = host;
    this.#plan = plan;
    this.#name = options.name;
    const recording = recordPlan(plan, host.encoder.traits);
    this.#recording = recording;
    const { dispatches } = recording;
    const count = dispatches.length;
    this.#uniforms = new ProgramUniforms(host.gpu, dispatches);
    const capacity = Math.max(64, count * GROUPS_EACH);
    this.#cache = new BindGroups(host.gpu, this.#uniforms.buffer, capacity, host.counter);
    this.#grid = Uint32Array.from(dispatches.flatMap(({ x, y, z }) => [x, y, z]));
    this.#stale = new Uint8Array(count).fill(1);

    const layout = layOut(plan, recording, options.staticAlloc);
    this.#layout = layout;
    this.#storages = new Array<GpuStorage | undefined>(layout.bytes.length).fill(undefined);
    this.#lentBytes = layout.lent.reduce((sum, i) => sum + (layout.bytes[i] ?? 0), 0);
    this.ready = host.pipelines.precompile(dispatches.map(({ shader }) => shader));
  }

  get stats(): ProgramStats {
    const { dispatches, calls, prologue, prologueCalls } = this.#recording;
    const own = this.#plan.inputs + this.#plan.outputs;
    const slots = this.#plan.slots.length + this.#recording.temporaries.length;
    let slotBytes = 0;
    for (let i = own; i < this.#layout.bytes.length; i++) slotBytes += this.#layout.bytes[i] ?? 0;
    for (const constant of this.#plan.constants) slotBytes -= constant.byteLength;
    return {
      dispatches: dispatches.length - prologue + calls.length - prologueCalls,
      prologue: prologue + prologueCalls,
      slots,
      slotBytes,
      runs: this.#runs,
    };
  }

  run(
    inputs: readonly Storage[],
    outputs: readonly Storage[],
    scalars: readonly number[],
    refresh: boolean,
  ): void {
    const { encoder, pool } = this.#host;
    const plan = this.#plan;
    if (this.#disposed) throw new Error(`${this.#name}: the program has been disposed of`);
    if (inputs.length !== plan.inputs || outputs.length !== plan.outputs || scalars.length < plan.scalars)
      throw new RangeError(
        `${this.#name}: ${inputs.length} inputs, ${outputs.length} outputs, ${scalars.length} scalars for a plan of ${plan.inputs}, ${plan.outputs}, ${plan.scalars}`,
      );
    for (let i = 0; i < inputs.length; i++) this.#place(i, this.#host.own(inputs[i] as Storage, this.#name));
    for (let i = 0; i < outputs.length; i++)
      this.#place(plan.inputs + i, this.#host.own(outputs[i] as Storage, this.#name));
    if (this.#host.isLost) return;
    if (!this.#begun) this.#begin();
    if (encoder.failed) this.#recover();

    const { dispatches, prologue } = this.#recording;
    const withPrologue = prologue > 0 && (refresh || !this.#prepared);
    encoder.beginProgram(dispatches.length - (withPrologue ? 0 : prologue) + this.#recording.calls.length);
    try {
      this.#takeMemory();
      if (this.#anyStale) this.#bind();
      let offsets = this.#uniforms.offsetsFor(scalars, encoder.batch);
      if (offsets === null) {
        encoder.flush();
        encoder.open();
        offsets = this.#uniforms.offsetsFor(scalars, encoder.batch) as Uint32Array;
      }
      const poison = encoder.failed ? this.#poison() : null;
      const first = encoder.batch;
      this.#markUsed(first);
      this.#record(withPrologue ? 0 : prologue, withPrologue, offsets, scalars);
      if (withPrologue) this.#prepared = true;
      const written = this.#written;
      written.length = 0;
      for (let i = 0; i < this.#layout.results.length; i++)
        written.push(this.#storages[this.#layout.results[i] as number] as GpuStorage);
      if (withPrologue)
        for (const slot of plan.kept)
          written.push(this.#storages[plan.inputs + plan.outputs + slot] as GpuStorage);
      const { batch } = encoder;
      this.#uniforms.used(batch);
      if (batch !== first) this.#markUsed(batch);
      this.#runs++;
      encoder.endProgram(this.#name, written, this.#writtenBytes, poison);
    } finally {
      encoder.dropProgram();
      // In reverse, so that the next run is lent the same buffers for the same slots.
      while (this.#borrowed > 0)
        pool.give((this.#storages[this.#layout.lent[--this.#borrowed] as number] as GpuStorage).pooled);
    }
  }

  /** Notes the storage of a memory; bind groups that held another are looked up again. */
  #place(memory: number, storage: GpuStorage): void {
    const before = this.#storages[memory];
    if (before === storage) return;
    this.#storages[memory] = storage;
    if (
      before !== undefined &&
      before.pooled === storage.pooled &&
      before.offset === storage.offset &&
      before.boundBytes === storage.boundBytes
    )
      return;
    this.#anyStale = true;
    const users = this.#layout.users[memory] as readonly number[];
    for (let i = 0; i < users.length; i++) this.#stale[users[i] as number] = 1;
  }

  /** What the first run needs. */
  #begin(): void {
    this.#begun = true;
    for (const memory of this.#layout.kept) this.#keep(memory);
    this.#made = this.#recording.dispatches.map(({ shader }) => this.#host.pipelines.get(shader));
    this.#pipelines = this.#made.map(({ gpu }) => gpu);
  }

  #takeMemory(): void {
    const { encoder } = this.#host;
    for (let i = 0; i < this.#layout.lent.length; i++) {
      const memory = this.#layout.lent[i] as number;
      this.#place(memory, encoder.lend(this.#layout.bytes[memory] as number, this.#storages[memory]));
      this.#borrowed++;
    }
    this.#host.peak(this.#lentBytes);
  }

  /** Memory of the program's own for its life; a constant with its contents. */
  #keep(memory: number): void {
    const storage = this.#host.take(this.#layout.bytes[memory] as number, this.#name);
    this.#place(memory, storage);
    const { inputs, outputs, slots, constants } = this.#plan;
    const data = constants[memory - inputs - outputs - slots.length];
    if (data !== undefined) this.#host.write(storage, data);
  }

  /** Something has failed: what was lost of the memory that keeps is made anew. */
  #recover(): void {
    for (const memory of this.#layout.kept) {
      const storage = this.#storages[memory];
      if (storage === undefined || (storage.poison === null && !storage.pooled.broken)) continue;
      this.#host.free(storage);
      this.#keep(memory);
      this.#prepared = false;
    }
  }

  /** Finds the bind groups that are stale, and inputs that lie in the buffer of an output of the same dispatch. */
  #bind(): void {
    const { dispatches } = this.#recording;
    for (const { to } of this.#apart) this.#host.free(to);
    if (this.#apart.length > 0) {
      for (const { dispatch } of this.#apart) this.#stale[dispatch] = 1;
      this.#apart = [];
    }
    const bound = this.#bound;
    for (let d = 0; d < dispatches.length; d++) {
      if (this.#stale[d] === 0) continue;
      const { memories } = dispatches[d] as (typeof dispatches)[number];
      const { layout, writes } = this.#made[d] as Pipeline;
      for (let i = 0; i < memories.length; i++) bound[i] = this.#storage(memories[i] as number);
      for (let i = 0; i < memories.length; i++) {
        const read = bound[i] as GpuStorage;
        let shared = false;
        if (writes[i] !== true)
          for (let j = 0; j < memories.length; j++)
            shared ||= writes[j] === true && (bound[j] as GpuStorage).buffer === read.buffer;
        if (!shared) continue;
        const to = this.#host.take(read.bytes, this.#name);
        this.#apart.push({ dispatch: d, from: read, to });
        bound[i] = to;
      }
      this.#groups[d] = this.#cache.get(layout, bound);
      this.#stale[d] = 0;
    }
    this.#anyStale = false;
    if (this.#writtenBytes > 0) return;
    for (const { memories, shader } of dispatches)
      for (let i = 0; i < memories.length; i++)
        if (shader.bindings[i] === 'read_write')
          this.#writtenBytes += this.#storage(memories[i] as number).boundBytes;
  }

  /** The storage of a memory, or of a span of one. */
  #storage(memory: number): GpuStorage {
    const storage = this.#storages[memory];
    if (storage !== undefined) return storage;
    const span = this.#recording.spans[memory - this.#storages.length] as MemorySpan;
    return (this.#storages[span.of] as GpuStorage).span(span.bytes);
  }

  /** What has spoiled something that the run reads. */
  #poison(): Poison | null {
    for (let i = 0; i < this.#plan.inputs; i++) {
      const poison = (this.#storages[i] as GpuStorage).poison;
      if (poison !== null) return poison;
    }
    return null;
  }

  #markUsed(batch: number): void {
    const storages = this.#storages;
    for (let i = 0; i < storages.length; i++) (storages[i] as GpuStorage).pooled.batch = batch;
  }

  #record(first: number, withPrologue: boolean, offsets: Uint32Array, scalars: readonly number[]): void {
    const { dispatches, calls, prologueCalls } = this.#recording;
    let at = first;
    for (let c = withPrologue ? 0 : prologueCalls; c < calls.length; c++) {
      const call = calls[c] as RecordedCall;
      this.#dispatch(at, call.before, offsets);
      at = call.before;
      this.#call(call, scalars);
    }
    this.#dispatch(at, dispatches.length, offsets);
  }

  #dispatch(from: number, to: number, offsets: Uint32Array): void {
    if (from === to) return;
    const { encoder } = this.#host;
    encoder.open();
    if (encoder.profiler !== null || this.#apart.length > 0) {
      this.#singly(from, to, offsets);
      return;
    }
    const last = encode(encoder.pass(), this.#pipelines, this.#groups, offsets, this.#grid, from, to);
    encoder.recorded(to - from, last);
  }

  /** One dispatch after the other: each kernel timed, or with copies before it. */
  #singly(from: number, to: number, offsets: Uint32Array): void {
    const { encoder } = this.#host;
    const { dispatches } = this.#recording;
    for (let d = from; d < to; d++) {
      for (const { dispatch, from: source, to: target } of this.#apart)
        if (dispatch === d)
          encoder.copyWords(source, 0, target, 0, Math.min(source.boundBytes, target.boundBytes));
      const { profiler } = encoder;
      const { step } = dispatches[d] as RecordedDispatch;
      const pass =
        profiler === null
          ? encoder.pass()
          : encoder.timedPass(
              profiler,
              step.ops.join('+') || step.kernel.name,
              d === from || step !== dispatches[d - 1]?.step,
            );
      const last = encode(pass, this.#pipelines, this.#groups, offsets, this.#grid, d, d + 1);
      encoder.recorded(1, last);
    }
  }

  /** A step that is lowered at each run. */
  #call({ step }: RecordedCall, scalars: readonly number[]): void {
    const operand = ({ place, dtype, shape }: PlanOperand): Operand => ({
      storage: this.#storages[memoryOf(this.#plan, place)] as GpuStorage,
      dtype,
      shape,
    });
    this.#host.run(
      step.kernel,
      step.inputs.map(operand),
      step.outputs.map(operand),
      step.dims,
      step.scalars.map((s) => (typeof s === 'number' ? s : (scalars[s.slot] ?? 0))),
    );
  }

  /** Buffers have been destroyed. */
  dropBroken(): void {
    this.#cache.dropBroken();
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    const { encoder, isLost } = this.#host;
    for (const { to } of this.#apart) this.#host.free(to);
    for (const memory of this.#layout.kept) {
      const storage = this.#storages[memory];
      if (storage !== undefined) this.#host.free(storage);
    }
    this.#storages.length = 0;
    this.#groups.length = 0;
    if (!isLost && this.#uniforms.isUsed(encoder.batch)) encoder.flush();
    this.#uniforms.destroy();
    this.#host.forget(this);
  }
}
