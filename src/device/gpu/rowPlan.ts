// How a row kernel is spread over a GPU: by shape and adapter alone, so that results repeat. Pure, and tested without a device.
import type { GpuTraits } from './lowering.ts';

export interface RowPlan {
  /** Who folds a row (or a chunk of one): one invocation, or a workgroup together. */
  readonly agent: 'invocation' | 'workgroup';
  /** Invocations per workgroup. */
  readonly workgroup: number;
  /** Into how many chunks a row is cut; 1: one dispatch does everything. */
  readonly chunks: number;
}

/** Powers of two, so that tree reductions halve. */
function workgroupFor(length: number, most: number): number {
  let size = 64;
  while (size < most && size * 8 <= length) size *= 2;
  return size;
}

/**
 * - A software adapter runs barriers slowly and gains nothing from neighbouring loads: one invocation a row, small workgroups so that its
 *   threads share them, and long rows in chunks where there are few.
 * - A GPU wants neighbouring invocations at neighbouring addresses: with `inner` ≥ 16 (or short rows) an invocation a row does that; else a
 *   workgroup a row, its invocations side by side along the axis. Few rows are cut so that there is work for all of it.
 */
export function planRows(traits: GpuTraits, rows: number, length: number, inner: number): RowPlan {
  if (traits.software) {
    const chunks = rows < 64 && length >= 2048 ? Math.min(Math.ceil(length / 512), Math.ceil(256 / rows)) : 1;
    return { agent: 'invocation', workgroup: 16, chunks };
  }
  if (inner >= 16 || length <= 32) {
    const chunks =
      rows < 4096 && length >= 256 ? Math.min(Math.ceil(length / 64), Math.ceil(16384 / rows)) : 1;
    return { agent: 'invocation', workgroup: 64, chunks };
  }
  const workgroup = workgroupFor(length, Math.min(256, traits.maxInvocationsPerWorkgroup));
  const chunks =
    rows < 128 && length >= 16384 ? Math.min(Math.ceil(length / 4096), Math.ceil(512 / rows)) : 1;
  return { agent: 'workgroup', workgroup, chunks };
}
