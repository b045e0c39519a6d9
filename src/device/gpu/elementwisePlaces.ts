// How the inputs of an elementwise call lie to its outputs: found anew at each call, in memory that the next call overwrites, so that no arrays are made on the
// way.
import { sizeOf } from '../../core/shape.ts';
import type { Operand } from '../../ir/kernel.ts';

export const MAX_NDIM = 8;
export const MAX_INPUTS = 7;

/**
 * How an input lies to the output, four elements at a time.
 * - FLAT: the output's elements one by one. INPLACE + j: the same, and the own storage of output j.
 * - ONE: a single element.
 * - ROW: broadcast, four neighbours lie side by side. SPLAT: broadcast, four neighbours are one element.
 * - ANY: broadcast, each element is looked up.
 */
export const FLAT = 0;
export const ONE = 1;
export const ROW = 2;
export const SPLAT = 3;
export const ANY = 4;
export const INPLACE = 5;

/** Of input k. */
export const modes = new Uint8Array(MAX_INPUTS);
/** Of merged axis d (0 is the innermost). */
export const extents = new Float64Array(MAX_NDIM);
/** Of input k along merged axis d (0 is the innermost): `strides[k·8 + d]`. */
export const strides = new Float64Array(MAX_INPUTS * MAX_NDIM);
const running = new Float64Array(MAX_INPUTS);
/** Of input k, where it begins: other than 0 for strided calls only. */
export const offsets = new Float64Array(MAX_INPUTS);

/**
 * Folds the output's axes as far as all broadcast inputs allow, into `extents` and `strides` (innermost first). Returns how many are left.
 */
function mergeAxes(inputs: readonly Operand[], shape: readonly number[]): number {
  let merged = 0;
  for (let k = 0; k < inputs.length; k++) running[k] = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    const extent = shape[d] as number;
    const fromEnd = shape.length - d;
    let folds = merged > 0;
    for (let k = 0; k < inputs.length; k++) {
      if (modes[k] !== ANY) continue;
      const own = (inputs[k] as Operand).shape;
      const ownExtent = fromEnd <= own.length ? (own[own.length - fromEnd] as number) : 1;
      const stride = ownExtent === 1 ? 0 : (running[k] as number);
      running[k] = (running[k] as number) * ownExtent;
      strides[k * MAX_NDIM + merged] = stride;
      if (
        folds &&
        stride !== (strides[k * MAX_NDIM + merged - 1] as number) * (extents[merged - 1] as number)
      )
        folds = false;
    }
    if (extent === 1) continue;
    if (folds) extents[merged - 1] = (extents[merged - 1] as number) * extent;
    else extents[merged++] = extent;
  }
  return merged;
}

/** As `mergeAxes` for the strides that `dims` give: [ndim, shape…, then for each input its offset and strides…]. */
function mergeStrided(count: number, dims: readonly number[]): number {
  const ndim = dims[0] as number;
  let merged = 0;
  for (let k = 0; k < count; k++) offsets[k] = dims[1 + ndim + k * (ndim + 1)] as number;
  for (let d = ndim - 1; d >= 0; d--) {
    const extent = dims[1 + d] as number;
    if (extent === 1) continue;
    let folds = merged > 0;
    for (let k = 0; k < count; k++) {
      const stride = dims[2 + ndim + k * (ndim + 1) + d] as number;
      strides[k * MAX_NDIM + merged] = stride;
      folds &&= stride === (strides[k * MAX_NDIM + merged - 1] as number) * (extents[merged - 1] as number);
    }
    if (folds) extents[merged - 1] = (extents[merged - 1] as number) * extent;
    else if (merged === MAX_NDIM) throw new RangeError(`strided loads over more than ${MAX_NDIM} axes`);
    else extents[merged++] = extent;
  }
  return merged;
}

/** How the inputs of a strided call lie; as many axes as it has are left. */
export function placeStrided(count: number, dims: readonly number[]): number {
  const axes = mergeStrided(count, dims);
  for (let k = 0; k < count; k++) {
    let mode = (extents[0] as number) % 4 === 0 && axes > 0 ? ROW : ANY;
    if (mode === ROW && strides[k * MAX_NDIM] === 0) mode = SPLAT;
    else if (mode === ROW) {
      // four neighbours are one aligned quad
      if (strides[k * MAX_NDIM] !== 1 || (offsets[k] as number) % 4 !== 0) mode = ANY;
      for (let d = 1; d < axes; d++) if ((strides[k * MAX_NDIM + d] as number) % 4 !== 0) mode = ANY;
    }
    if (axes === 0 && offsets[k] === 0) mode = ONE;
    if (axes === 1 && offsets[k] === 0 && strides[k * MAX_NDIM] === 1) mode = FLAT;
    modes[k] = mode;
  }
  return axes;
}

/** How the inputs of a call lie, by NumPy's rule for broadcasting; as many axes as it needs are left, −1 for no broadcast. */
export function placeInputs(inputs: readonly Operand[], outputs: readonly Operand[], size: number): number {
  let broadcast = false;
  for (let k = 0; k < inputs.length; k++) {
    const { shape, storage } = inputs[k] as Operand;
    const elements = sizeOf(shape);
    offsets[k] = 0;
    if (elements === size) {
      // As many elements as the output, hence in its order: broadcasting adds axes of extent 1 at most.
      modes[k] = FLAT;
      for (let j = outputs.length - 1; j >= 0; j--) {
        const own = (outputs[j] as Operand).storage;
        if (storage.buffer === own.buffer && storage.offset === own.offset) modes[k] = INPLACE + j;
      }
    } else if (elements === 1) {
      modes[k] = ONE;
    } else {
      modes[k] = ANY;
      broadcast = true;
    }
  }
  if (!broadcast) return -1;
  const axes = mergeAxes(inputs, (outputs[0] as Operand).shape);
  if ((extents[0] as number) % 4 === 0) {
    for (let k = 0; k < inputs.length; k++)
      if (modes[k] === ANY) modes[k] = strides[k * MAX_NDIM] === 0 ? SPLAT : ROW;
  }
  return axes;
}

export const isBroadcast = (mode: number): boolean => mode === ROW || mode === SPLAT || mode === ANY;
