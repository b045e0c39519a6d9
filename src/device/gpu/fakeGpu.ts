// For unit tests only: a GPUDevice that writes down what is asked of it, in order, and does the copies and writes (but no dispatch) on the host.
// So the rules of the encoder, the pool and the caches are tested without a GPU, and failures can be had at will.
import type { GpuTraits } from './lowering.ts';

export const FAKE_TRAITS: GpuTraits = {
  software: false,
  subgroups: false,
  f16: false,
  maxWorkgroupStorage: 16384,
  maxInvocationsPerWorkgroup: 256,
  maxWorkgroups: 65535,
};

interface FakeBuffer {
  readonly label: string;
  readonly size: number;
  readonly data: Uint8Array<ArrayBuffer>;
  destroyed: boolean;
  mapped: boolean;
}

type Command = () => void;

/** What `fakeGpu()` gives: the device, and the record of its calls. */
export interface FakeGpu {
  readonly device: GPUDevice;
  /** Calls in order, as short texts: `write #1 16`, `pass`, `pipeline add`, `dispatch 1`, `end`, `copy #1 → #2`, `submit`, `destroy #1`, … */
  readonly log: string[];
  /** The log since the last call of `take`, without what tests rarely ask for. */
  take(): string[];
  /** The dynamic offset of each dispatch. */
  readonly offsets: number[];
  /** What each dispatch's uniform block held when it was submitted, as 64 words. */
  readonly parameters: Uint32Array[];
  /** The next error scope of this kind to be popped reports this. */
  fail(kind: GPUErrorFilter, message: string): void;
  /** Makes maps wait until `releaseMaps`. */
  holdMaps(): void;
  releaseMaps(): void;
  lose(reason: GPUDeviceLostReason, message: string): void;
  openScopes(): number;
  /** Bytes in buffers that are not destroyed. */
  liveBytes(): number;
}

export function fakeGpu(limits: Partial<Record<keyof GPUSupportedLimits, number>> = {}): FakeGpu {
  const log: string[] = [];
  const offsets: number[] = [];
  const parameters: Uint32Array[] = [];
  const buffers: FakeBuffer[] = [];
  const scopes: GPUErrorFilter[] = [];
  const failures: { kind: GPUErrorFilter; message: string }[] = [];
  const held: (() => void)[] = [];
  let holding = false;
  let taken = 0;
  let lost: ((info: { reason: GPUDeviceLostReason; message: string }) => void) | undefined;
  const id = (buffer: FakeBuffer): string =>
    buffer.label !== '' ? buffer.label : `#${buffers.indexOf(buffer) + 1}`;

  const makeBuffer = ({ size, label = '' }: { size: number; label?: string }) => {
    const state: FakeBuffer = { label, size, data: new Uint8Array(size), destroyed: false, mapped: false };
    buffers.push(state);
    log.push(`buffer ${id(state)} ${size}`);
    return Object.assign(state, {
      destroy() {
        state.destroyed = true;
        log.push(`destroy ${id(state)}`);
      },
      mapAsync() {
        log.push(`map ${id(state)}`);
        return new Promise<void>((resolve) => {
          const finish = (): void => {
            state.mapped = true;
            resolve();
          };
          if (holding) held.push(finish);
          else setTimeout(finish, 0);
        });
      },
      getMappedRange: (offset = 0, length = size) => state.data.slice(offset, offset + length).buffer,
      unmap() {
        state.mapped = false;
        log.push(`unmap ${id(state)}`);
      },
    });
  };

  const makeEncoder = () => {
    const commands: Command[] = [];
    let inPass = false;
    const touch = (buffer: FakeBuffer): void => {
      commands.push(() => {
        if (buffer.destroyed) throw new Error(`submitted work uses ${id(buffer)}, which is destroyed`);
        if (buffer.mapped) throw new Error(`submitted work uses ${id(buffer)}, which is mapped`);
      });
    };
    return {
      commands,
      beginComputePass() {
        if (inPass) throw new Error('a pass is open already');
        inPass = true;
        log.push('pass');
        return {
          setPipeline: (pipeline: { label: string }) => void log.push(`pipeline ${pipeline.label}`),
          setBindGroup(_: number, group: { buffers: FakeBuffer[] }, data: Uint32Array, start: number) {
            const offset = data[start] as number;
            offsets.push(offset);
            group.buffers.forEach(touch);
            const uniforms = group.buffers.at(-1) as FakeBuffer;
            commands.push(
              () => void parameters.push(new Uint32Array(uniforms.data.slice(offset, offset + 256).buffer)),
            );
          },
          dispatchWorkgroups: (x: number, y: number, z: number) =>
            void log.push(`dispatch ${x}${y * z === 1 ? '' : ` ${y} ${z}`}`),
          end() {
            inPass = false;
            log.push('end');
          },
        };
      },
      copyBufferToBuffer(from: FakeBuffer, fromAt: number, to: FakeBuffer, toAt: number, size: number) {
        if (inPass) throw new Error('a copy inside a pass');
        if (fromAt % 4 !== 0 || toAt % 4 !== 0 || size % 4 !== 0) throw new Error('a copy of parts of words');
        if (from === to) throw new Error('a copy inside one buffer');
        log.push(`copy ${id(from)} → ${id(to)} ${size}`);
        touch(from);
        touch(to);
        commands.push(() => to.data.set(from.data.subarray(fromAt, fromAt + size), toAt));
      },
      finish() {
        if (inPass) throw new Error('a pass is still open');
        return { commands };
      },
    };
  };

  const device = {
    limits: { maxBufferSize: 2 ** 28, maxStorageBufferBindingSize: 2 ** 27, ...limits },
    features: new Set<string>(),
    lost: new Promise<{ reason: GPUDeviceLostReason; message: string }>((resolve) => {
      lost = resolve;
    }),
    createBuffer: makeBuffer,
    createShaderModule: ({ label }: { label: string }) => ({ label }),
    createBindGroupLayout: ({ entries }: { entries: unknown[] }) => ({ entries }),
    createPipelineLayout: () => ({}),
    createComputePipeline({ label }: { label: string }) {
      log.push(`compile ${label}`);
      return { label };
    },
    createComputePipelineAsync({ label }: { label: string }) {
      log.push(`compile ${label}`);
      return Promise.resolve({ label });
    },
    createBindGroup({ entries }: { entries: { resource: { buffer: FakeBuffer } }[] }) {
      log.push('group');
      return { buffers: entries.map((entry) => entry.resource.buffer) };
    },
    createCommandEncoder: makeEncoder,
    pushErrorScope: (kind: GPUErrorFilter) => void scopes.push(kind),
    popErrorScope() {
      const kind = scopes.pop();
      if (kind === undefined) throw new Error('no error scope is open');
      const at = failures.findIndex((failure) => failure.kind === kind);
      return Promise.resolve(at < 0 ? null : { message: failures.splice(at, 1)[0]?.message });
    },
    queue: {
      writeBuffer(
        buffer: FakeBuffer,
        at: number,
        data: ArrayBuffer | ArrayBufferView,
        from = 0,
        size?: number,
      ) {
        const bytes = ArrayBuffer.isView(data)
          ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
          : new Uint8Array(data);
        const part = bytes.subarray(from, size === undefined ? undefined : from + size);
        if (at % 4 !== 0 || part.length % 4 !== 0) throw new Error('a write of parts of words');
        log.push(`write ${id(buffer)} ${part.length}`);
        buffer.data.set(part, at);
      },
      submit(list: { commands: Command[] }[]) {
        log.push('submit');
        for (const { commands } of list) for (const command of commands) command();
      },
      onSubmittedWorkDone: () => Promise.resolve(),
    },
    destroy() {
      log.push('destroy device');
    },
  };

  return {
    device: device as unknown as GPUDevice,
    log,
    take() {
      const part = log.slice(taken);
      taken = log.length;
      return part;
    },
    offsets,
    parameters,
    fail: (kind, message) => void failures.push({ kind, message }),
    holdMaps() {
      holding = true;
    },
    releaseMaps() {
      holding = false;
      for (const finish of held.splice(0)) finish();
    },
    lose: (reason, message) => lost?.({ reason, message }),
    openScopes: () => scopes.length,
    liveBytes: () => buffers.reduce((sum, buffer) => sum + (buffer.destroyed ? 0 : buffer.size), 0),
  };
}
