// Running sums on the GPU: an invocation walks its part of a row. Where rows are long and few, they are cut into chunks: sums of the chunks, their own running
// sums (the same again), then every chunk from where the ones before it end. No workgroup memory; the order of additions follows from the shape alone.
import scanBody from '../../../shaders/scan.wgsl?raw';
import type { DType } from '../../core/dtype.ts';
import type { Operand } from '../../ir/kernel.ts';
import type { Storage } from '../../ir/storage.ts';
import { copyRun } from './customCopy.ts';
import type { Buffer } from './customShader.ts';
import { accessOf, dimAt, dispatchThreads, headOf, operandAt, shaderFor } from './customShader.ts';
import type { DispatchSink, GpuShader } from './lowering.ts';
import { bitsToValue, convertValue, lanesOf, valueToBits, wgslTypeOf } from './wgslTypes.ts';

/** Elements of a chunk. */
const CHUNK = 64;

/** What a pass does: `whole` rows; `sums` of chunks; `chunks` from where the ones before end. */
type Pass = 'whole' | 'sums' | 'chunks';

/** The 32-bit dtype in which values of a dtype are summed. */
function wideOf(dtype: DType): DType {
  const type = wgslTypeOf(dtype);
  return type === 'f32' ? 'float32' : type === 'i32' ? 'int32' : 'uint32';
}

function scanShader(pass: Pass, from: DType, wide: DType): GpuShader {
  return shaderFor(`scan ${pass} ${from}>${wide}`, () => {
    const buffers: readonly Buffer[] = [
      { name: 'x', access: 'read', dtype: from },
      ...(pass === 'chunks' ? [{ name: 'starts', access: 'read' } as const] : []),
      { name: 'y', access: 'read_write' },
    ];
    const type = wgslTypeOf(wide);
    return {
      label: 'cumsum',
      bindings: accessOf(buffers),
      code: () =>
        [
          headOf(buffers),
          `alias T = ${type};
const ONLY_SUMS: bool = ${pass === 'sums'};
fn load(bits: u32) -> T { return ${convertValue(bitsToValue('bits', from), wgslTypeOf(from), type)}; }
fn bits_of(v: T) -> u32 { return ${valueToBits('v', type, wide)}; }
fn start(i: u32) -> T { return ${pass === 'chunks' ? bitsToValue('starts[i]', wide) : 'T(0)'}; }
`,
          scanBody,
        ].join(''),
    };
  });
}

interface Rows {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

function dispatchScan(
  sink: DispatchSink,
  pass: Pass,
  from: DType,
  wide: DType,
  storages: readonly Storage[],
  rows: Rows,
  chunk: number,
): void {
  const chunks = Math.ceil(rows.length / chunk);
  const threads = rows.outer * chunks * rows.inner;
  sink.u32(threads);
  sink.u32(rows.length);
  sink.u32(rows.inner);
  sink.u32(chunk);
  sink.u32(chunks);
  sink.u32(rows.exclusive ? 1 : 0);
  sink.u32(rows.reverse ? 1 : 0);
  dispatchThreads(sink, scanShader(pass, from, wide), storages, threads);
}

function lowerScan(sink: DispatchSink, x: Storage, from: DType, y: Storage, wide: DType, rows: Rows): void {
  const { outer, length, inner } = rows;
  // Cutting reads x twice; it pays where whole rows would leave most of the device idle.
  const enough = sink.traits.software ? 64 : 4096;
  if (length <= 8 * CHUNK || outer * inner >= enough) {
    dispatchScan(sink, 'whole', from, wide, [x, y], rows, length);
    return;
  }
  const chunks = Math.ceil(length / CHUNK);
  const sums = sink.temporary(4 * outer * chunks * inner);
  const starts = sink.temporary(4 * outer * chunks * inner);
  dispatchScan(sink, 'sums', from, wide, [x, sums], rows, CHUNK);
  lowerScan(sink, sums, wide, starts, wide, {
    outer,
    length: chunks,
    inner,
    exclusive: true,
    reverse: false,
  });
  dispatchScan(sink, 'chunks', from, wide, [x, starts, y], rows, CHUNK);
}

/** Lowers `cumsum`: dims [outer, length, inner, exclusive, reverse]. */
export function lowerCumsum(
  sink: DispatchSink,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
): void {
  const [x, y] = [operandAt(inputs, 0), operandAt(outputs, 0)];
  const rows: Rows = {
    outer: dimAt(dims, 0),
    length: dimAt(dims, 1),
    inner: dimAt(dims, 2),
    exclusive: dimAt(dims, 3) !== 0,
    reverse: dimAt(dims, 4) !== 0,
  };
  const count = rows.outer * rows.length * rows.inner;
  if (count === 0) return;
  const wide = wideOf(y.dtype);
  if (lanesOf(y.dtype) === 1) {
    lowerScan(sink, x.storage, x.dtype, y.storage, wide, rows);
    return;
  }
  // neighbours in a word belong to different rows: sum in 32 bits, then pack
  const sums = sink.temporary(4 * count);
  lowerScan(sink, x.storage, x.dtype, sums, wide, rows);
  copyRun(sink, sums, wide, 0, y.storage, y.dtype, 0, count);
}
