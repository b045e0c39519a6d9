// Finds a WebGPU adapter in a page, a worker or Node, and asks it for a device; says in plain words why there is none.
import { ArgumentError, GpuUnavailableError } from '../../core/errors.ts';
import { describe } from '../../core/shape.ts';
import type { GpuTraits } from './lowering.ts';

export interface OpenOptions {
  /** Which of several adapters: `'high-performance'` or `'low-power'`. */
  readonly powerPreference?: 'low-power' | 'high-performance' | undefined;
  /** Take an adapter that computes on the CPU as well; it counts as none otherwise. */
  readonly allowSoftware?: boolean | undefined;
}

export interface OpenedAdapter {
  readonly device: GPUDevice;
  /** The adapter's name, for people. */
  readonly description: string;
  readonly traits: GpuTraits;
}

const OPTIONS = ['powerPreference', 'allowSoftware'];

const POWER: readonly unknown[] = [undefined, 'low-power', 'high-performance'];

/** Refuses what is no option. */
export function checkOptions(op: string, options: unknown): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new ArgumentError(
      `expected options such as { allowSoftware: true }, received ${describe(options)}. Pass an object or nothing.`,
      { op },
    );
  const { powerPreference } = options as OpenOptions;
  if (!POWER.includes(powerPreference))
    throw new ArgumentError(
      `expected powerPreference to be 'low-power' or 'high-performance', received ${describe(powerPreference)}. Leave it out for the browser's own choice.`,
      { op },
    );
  const plain = (name: string): string => name.replaceAll('_', '').toLowerCase();
  for (const name of Object.keys(options)) {
    if (OPTIONS.includes(name)) continue;
    const meant = OPTIONS.find((known) => plain(known) === plain(name));
    throw new ArgumentError(
      `expected the options ${OPTIONS.join(' and ')}, received ${name}. ${meant === undefined ? 'Leave it out.' : `Did you mean ${meant}?`}`,
      { op },
    );
  }
}

// Dawn stops answering once the object that `create` gave is collected: it is held for the process's life. (It keeps no process
// alive: a script ends by itself, `lost` pending or not.)
let nodeGpu: Promise<GPU> | undefined;

function unavailable(received: string, advice: string, cause?: unknown): GpuUnavailableError {
  return new GpuUnavailableError(`expected a WebGPU adapter, received ${received}. ${advice}`, {
    op: 'openGpu',
    cause,
  });
}

// The name is a default argument: bundlers fold constants into "import('webgpu')", which a page cannot resolve, but not arguments.
async function importNodeGpu(name = 'webgpu'): Promise<GPU> {
  let dawn: { create(flags: string[]): GPU };
  try {
    dawn = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as typeof dawn;
  } catch (cause) {
    throw unavailable(
      'Node without the package webgpu',
      'Install it with npm install webgpu, or use cpu().',
      cause,
    );
  }
  return dawn.create([]);
}

function isNode(): boolean {
  return typeof process === 'object' && typeof process.versions?.node === 'string';
}

/** The entry to WebGPU, or a GpuUnavailableError that says what is missing. */
async function findGpu(): Promise<GPU> {
  const here = typeof navigator === 'object' ? (navigator as { readonly gpu?: GPU }).gpu : undefined;
  if (here !== undefined && here !== null) return here;
  if (isNode()) {
    nodeGpu ??= importNodeGpu();
    try {
      return await nodeGpu;
    } catch (error) {
      nodeGpu = undefined;
      throw error;
    }
  }
  if ((globalThis as { readonly isSecureContext?: boolean }).isSecureContext === false)
    throw unavailable(
      'a page that is not secure (http)',
      'Serve it over https or from localhost, or use cpu().',
    );
  throw unavailable('a browser without WebGPU', 'Use a current Chrome, Edge, Safari or Firefox, or cpu().');
}

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render|\bwarp\b/i;

/** What an adapter calls itself, in one line. */
export function describeAdapter(info: GPUAdapterInfo): string {
  const parts = [info.description, info.vendor, info.architecture, info.device].filter(
    (part) => part !== undefined && part !== '',
  );
  const [first = 'unknown adapter', second, third] = parts;
  // `description` is often empty in browsers, where vendor and architecture remain.
  return info.description !== '' && info.description !== undefined
    ? first
    : [first, second, third].filter((part) => part !== undefined).join(' ');
}

/** Whether an adapter computes on the CPU. */
export function isSoftware(adapter: GPUAdapter): boolean {
  const { info } = adapter;
  const old = (adapter as { readonly isFallbackAdapter?: boolean }).isFallbackAdapter;
  return (
    info.isFallbackAdapter === true ||
    old === true ||
    SOFTWARE.test(`${info.vendor} ${info.architecture} ${info.device} ${info.description}`)
  );
}

/** The adapter for these options, or a GpuUnavailableError. */
export async function findAdapter(options: OpenOptions = {}): Promise<GPUAdapter> {
  const { powerPreference, allowSoftware = false } = options;
  const gpu = await findGpu();
  const request: GPURequestAdapterOptions = powerPreference === undefined ? {} : { powerPreference };
  let adapter: GPUAdapter | null;
  try {
    adapter = await gpu.requestAdapter(request);
    if (adapter === null && allowSoftware)
      adapter = await gpu.requestAdapter({ ...request, forceFallbackAdapter: true });
  } catch (cause) {
    throw unavailable(`a refusal: ${String(cause)}`, 'Use cpu().', cause);
  }
  if (adapter === null)
    throw unavailable(
      'none',
      isNode()
        ? 'Install a GPU driver (on Linux one for Vulkan), or use cpu().'
        : 'The browser may have blocked the GPU or its driver: see chrome://gpu, update the driver, or use cpu().',
    );
  if (!allowSoftware && isSoftware(adapter))
    throw unavailable(
      `a software adapter only (${describeAdapter(adapter.info)})`,
      'Use cpu(), which is faster, or pass { allowSoftware: true }.',
    );
  return adapter;
}

/** Limits of which more is better, by name. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
] as const;
const FEATURES: readonly GPUFeatureName[] = ['subgroups', 'shader-f16', 'timestamp-query'];

/** Opens an adapter (the one that `findAdapter` gave, if it is at hand) and a device on it with the most it offers. */
export async function openAdapter(options: OpenOptions = {}, found?: GPUAdapter): Promise<OpenedAdapter> {
  const adapter = found ?? (await findAdapter(options));
  const requiredFeatures = FEATURES.filter((feature) => adapter.features.has(feature));
  const requiredLimits: Record<string, number> = {};
  for (const limit of LIMITS) requiredLimits[limit] = adapter.limits[limit];
  const description = describeAdapter(adapter.info);
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
  } catch {
    // An adapter gives one device only, and some refuse their own limits: ask a fresh one for what every device has.
    try {
      device = await (await findAdapter(options)).requestDevice({ requiredFeatures });
    } catch (cause) {
      throw unavailable(
        `a device request that ${description} refused`,
        'Close other pages that use the GPU, update the driver, or use cpu().',
        cause,
      );
    }
  }
  const { limits, features } = device;
  return {
    device,
    description,
    traits: {
      software: isSoftware(adapter),
      subgroups: features.has('subgroups'),
      f16: features.has('shader-f16'),
      maxWorkgroupStorage: limits.maxComputeWorkgroupStorageSize,
      maxInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
      maxWorkgroups: limits.maxComputeWorkgroupsPerDimension,
    },
  };
}
