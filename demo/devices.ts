// Which device runs the network, and why it is not the one that was asked for.
import { type Context, cpu, GpuUnavailableError, openGpu } from 'webgluon';
import { adapterInfo, isSoftware, type Kind } from './adapter.ts';

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
