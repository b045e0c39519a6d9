// Stable sorting on the GPU, without workgroup memory, so that software adapters keep up: blocks are sorted by counting (an element's place is the number
// of elements before it), then neighbours are merged, each invocation making a chunk of the result. ⌈log₂(length / block)⌉ merges, one dispatch each.
// Keys are unsigned integers whose order is the order wanted; floats become such keys, so NaN and −0 have their places by rule.
import blocksBody from '../../../shaders/sort_blocks.wgsl?raw';
import mergeBody from '../../../shaders/sort_merge.wgsl?raw';
import type { DType } from '../../core/dtype.ts';
import type { Operand } from '../../ir/kernel.ts';
import type { Storage } from '../../ir/storage.ts';
import { dispatchGather, gatherParams, gatherShader } from './customGather.ts';
import type { Buffer } from './customShader.ts';
import { accessOf, dimAt, dispatchThreads, headOf, operandAt, shaderFor } from './customShader.ts';
import type { DispatchSink } from './lowering.ts';
import { bitsToValue, lanesOf, movedAs, valueToBits, wgslTypeOf } from './wgslTypes.ts';

/** Where a key's own parameters begin in the block sort. */
export const KEY_PARAMS = 3;

/** What is sorted by. */
export interface SortKey {
  /** Names all that `function` depends on. */
  readonly name: string;
  readonly buffer: Buffer;
  /** `fn key(i: u32) -> u32`: the key of element i of all rows; own parameters from `KEY_PARAMS`. */
  readonly function: () => string;
  readonly params: () => void;
}

/** Keys in ascending order, and where in its row each was: both u32, row after row, in scratch memory. */
export interface Sorted {
  readonly keys: Storage;
  readonly places: Storage;
}

/**
 * Rows up to `whole` elements are sorted by counting alone; longer ones begin with blocks of `block`. Counting costs length² on length lanes: nothing
 * where there are thousands of them. An invocation merges `chunk` elements; two blocks are a multiple of it.
 */
function lengthsFor(software: boolean): {
  readonly whole: number;
  readonly block: number;
  readonly chunk: number;
} {
  return software ? SOFTWARE : HARDWARE;
}
const SOFTWARE = { whole: 48, block: 16, chunk: 32 } as const;
const HARDWARE = { whole: 512, block: 128, chunk: 8 } as const;

function blocksParams(sink: DispatchSink, rows: number, length: number, block: number): void {
  sink.u32(rows * length);
  sink.u32(length);
  sink.u32(block);
}

/** Sorts each row by `key`, which reads `source`. */
export function lowerOrder(
  sink: DispatchSink,
  key: SortKey,
  source: Storage,
  rows: number,
  length: number,
): Sorted {
  const total = rows * length;
  const { whole, block, chunk } = lengthsFor(sink.traits.software);
  let width = length <= whole ? length : block;
  let from: Sorted = { keys: sink.temporary(4 * total), places: sink.temporary(4 * total) };

  const blocks = shaderFor(`sort blocks ${key.name}`, () => {
    const buffers: readonly Buffer[] = [
      key.buffer,
      { name: 'keys', access: 'read_write' },
      { name: 'places', access: 'read_write' },
    ];
    return {
      label: 'sort',
      bindings: accessOf(buffers),
      code: () =>
        [
          headOf(buffers),
          key.function(),
          'fn emit(to: u32, place: u32, i: u32, k: u32) { keys[to] = k; places[to] = place; }\n',
          blocksBody,
        ].join(''),
    };
  });
  blocksParams(sink, rows, length, width);
  key.params();
  dispatchThreads(sink, blocks, [source, from.keys, from.places], total);
  if (width >= length) return from;

  const merge = shaderFor('sort merge', () => {
    const buffers: readonly Buffer[] = [
      { name: 'keys_in', access: 'read' },
      { name: 'places_in', access: 'read' },
      { name: 'keys', access: 'read_write' },
      { name: 'places', access: 'read_write' },
    ];
    return { label: 'sort', bindings: accessOf(buffers), code: () => headOf(buffers) + mergeBody };
  });
  let to: Sorted = { keys: sink.temporary(4 * total), places: sink.temporary(4 * total) };
  for (; width < length; width *= 2) {
    const chunks = Math.ceil(length / chunk);
    sink.u32(rows * chunks);
    sink.u32(length);
    sink.u32(width);
    sink.u32(chunk);
    sink.u32(chunks);
    dispatchThreads(sink, merge, [from.keys, from.places, to.keys, to.places], rows * chunks);
    [from, to] = [to, from];
  }
  return from;
}

/** Keys in the order of values: NaN after all, both zeros alike; for descending order reversed, so that NaN comes first. */
function keyFunction(dtype: DType, descending: boolean): string {
  const value = bitsToValue('x_bits(i)', dtype);
  const type = wgslTypeOf(dtype);
  const lines =
    type === 'f32'
      ? [
          `  let bits = bitcast<u32>(${value});`,
          '  var k = select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);',
          '  k = select(k, 0x80000000u, bits == 0x80000000u);',
          '  k = select(k, 0xffffffffu, is_nan_bits(bits));',
        ]
      : [`  let k = ${type === 'i32' ? `bitcast<u32>(${value}) ^ 0x80000000u` : value};`];
  return `fn key(i: u32) -> u32 {\n${lines.join('\n')}\n  return ${descending ? '~k' : 'k'};\n}\n`;
}

/** Lowers `sort`: dims [rows, length, descending]; outputs values and places. */
export function lowerSort(
  sink: DispatchSink,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
): void {
  const [x, y, places] = [operandAt(inputs, 0), operandAt(outputs, 0), operandAt(outputs, 1)];
  const [rows, length, descending] = [dimAt(dims, 0), dimAt(dims, 1), dimAt(dims, 2) !== 0];
  const total = rows * length;
  if (total === 0) return;
  const buffer = { name: 'x', access: 'read', dtype: x.dtype } as const;
  const placeBits = valueToBits('place', 'u32', places.dtype);

  if (
    length <= lengthsFor(sink.traits.software).whole &&
    lanesOf(y.dtype) === 1 &&
    lanesOf(places.dtype) === 1
  ) {
    const shader = shaderFor(`sort ${x.dtype} ${descending}>${places.dtype}`, () => {
      const buffers: readonly Buffer[] = [
        buffer,
        { name: 'y', access: 'read_write' },
        { name: 'places', access: 'read_write' },
      ];
      return {
        label: 'sort',
        bindings: accessOf(buffers),
        code: () =>
          [
            headOf(buffers),
            keyFunction(x.dtype, descending),
            `fn emit(to: u32, place: u32, i: u32, k: u32) { y[to] = x_bits(i); places[to] = ${placeBits}; }\n`,
            blocksBody,
          ].join(''),
      };
    });
    blocksParams(sink, rows, length, length);
    dispatchThreads(sink, shader, [x.storage, y.storage, places.storage], total);
    return;
  }

  const key = {
    name: `${x.dtype} ${descending}`,
    buffer,
    function: () => keyFunction(x.dtype, descending),
    params: () => {},
  };
  const sorted = lowerOrder(sink, key, x.storage, rows, length);
  const order = { name: 'order', access: 'read' } as const;
  const moved = movedAs(x.dtype);
  const values = gatherShader(
    sink,
    `sort values ${moved}`,
    moved,
    [{ ...buffer, dtype: moved }, order],
    () => 'fn element(i: u32) -> u32 { return x_bits(i - i % pu(2) + order[i]); }\n',
  );
  gatherParams(sink, 0, total);
  sink.u32(length);
  dispatchGather(sink, values, [x.storage, sorted.places, y.storage], moved, 0, total);
  const former = gatherShader(
    sink,
    'sort places',
    places.dtype,
    [order],
    () => `fn element(i: u32) -> u32 { let place = order[i]; return ${placeBits}; }\n`,
  );
  gatherParams(sink, 0, total);
  dispatchGather(sink, former, [sorted.places, places.storage], places.dtype, 0, total);
}
