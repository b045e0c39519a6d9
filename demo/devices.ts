// Which device runs the network, what it calls itself, and why it is not the one that was asked for.
import { type Context, cpu, GpuUnavailableError, openGpu } from 'webgluon';

export type Kind = 'cpu' | 'gpu';

/** What the address asks for: `?device=cpu`, `?device=gpu`, `?software=1`. */
export interface Wish {
  readonly device: Kind | undefined;
  readonly allowSoftware: boolean;
}

export function readWish(search: string): Wish {
  const query = new URLSearchParams(search);
  const device = query.get('device');
  return {
    device: device === 'cpu' || device === 'gpu' ? device : undefined,
    allowSoftware: query.get('software') === '1',
  };
}

/** The GPU is not to be had; `detail` is the library's own sentence. */
export interface Refusal {
  readonly summary: string;
  readonly detail: string;
  /** There is an adapter, but one that computes on the CPU. */
  readonly software: boolean;
}

export type Opening =
  | { readonly ctx: Context; readonly refusal?: undefined }
  | { readonly ctx?: undefined; readonly refusal: Refusal };

/** The context for a device, or why there is none. */
export async function openDevice(kind: Kind, allowSoftware: boolean): Promise<Opening> {
  if (kind === 'cpu') return { ctx: cpu() };
  try {
    return { ctx: await openGpu({ allowSoftware }) };
  } catch (error) {
    if (!(error instanceof GpuUnavailableError)) throw error;
    return { refusal: await explain(error) };
  }
}

async function explain(error: GpuUnavailableError): Promise<Refusal> {
  const detail = error.message;
  const refusal = (summary: string, software = false): Refusal => ({ summary, detail, software });
  if (!isSecureContext) return refusal('Browsers give the GPU only to secure pages (https or localhost).');
  if (!('gpu' in navigator) || navigator.gpu === undefined)
    return refusal('This browser does not offer WebGPU, or it is switched off.');
  const info = await adapterInfo();
  if (info === undefined) return refusal('This browser knows WebGPU but found no GPU that it may use.');
  if (isSoftware(info))
    return refusal(
      'The only adapter here computes in software, which is slower than the CPU directly.',
      true,
    );
  return refusal('The GPU refused to open.');
}

/** What the adapter says of itself: its name for people, or undefined where there is none. */
export async function gpuName(): Promise<string | undefined> {
  const info = await adapterInfo();
  return info === undefined ? undefined : nameOf(info);
}

type Info = Partial<
  Pick<GPUAdapterInfo, 'vendor' | 'architecture' | 'device' | 'description' | 'isFallbackAdapter'>
>;

async function adapterInfo(): Promise<Info | undefined> {
  try {
    return (await navigator.gpu?.requestAdapter())?.info ?? undefined;
  } catch {
    // Whoever opens the GPU hears the reason; this is only about its name.
    return undefined;
  }
}

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render|\bwarp\b/i;

function isSoftware(info: Info): boolean {
  return (
    info.isFallbackAdapter === true ||
    SOFTWARE.test(`${info.vendor} ${info.architecture} ${info.device} ${info.description}`)
  );
}

/** As their makers write them. */
const SPELLINGS: Readonly<Record<string, string>> = {
  amd: 'AMD',
  arm: 'Arm',
  gcn: 'GCN',
  nvidia: 'NVIDIA',
  rdna: 'RDNA',
  swiftshader: 'SwiftShader',
};

/** `'rdna-3'` → `'RDNA 3'`, `'ampere'` → `'Ampere'`. */
function spell(words: string): string {
  return words
    .split(/[-_\s]+/)
    .map((word) => SPELLINGS[word] ?? word.charAt(0).toUpperCase() + word.slice(1))
    .join(' ');
}

/** One line for people. `description` says most and is often empty; vendor and architecture remain. */
export function nameOf(info: Info): string {
  const parts = [info.vendor, info.architecture].filter((part) => part !== undefined && part !== '');
  const name =
    info.description || parts.map((part) => spell(part ?? '')).join(' ') || 'a GPU that gives no name';
  return isSoftware(info) ? `${name} (software)` : name;
}
