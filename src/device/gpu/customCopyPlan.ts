// What a strided copy really is: axes of one element dropped, axes put in the order of the output's memory, axes that lie together merged, and the
// form of kernel that follows. Pure arithmetic on the host; the plan's object is used again from call to call.

/**
 * - `contiguous`: one run of elements to one run of elements.
 * - `gather`: the output is one run; the input lies anyhow.
 * - `transpose`: as gather, but the axis along which the input runs is not the axis along which the output runs.
 * - `scatter`: the output is not one run.
 */
export type CopyForm = 'empty' | 'contiguous' | 'gather' | 'transpose' | 'scatter';

/** Axes 0 … ndim − 1, the output's slowest first. Strides and offsets in elements. */
export interface CopyPlan {
  form: CopyForm;
  ndim: number;
  count: number;
  inOffset: number;
  outOffset: number;
  readonly shape: number[];
  readonly inStrides: number[];
  readonly outStrides: number[];
  /** transpose: the axis along which the input runs. */
  along: number;
}

export function newCopyPlan(): CopyPlan {
  return {
    form: 'empty',
    ndim: 0,
    count: 0,
    inOffset: 0,
    outOffset: 0,
    shape: [],
    inStrides: [],
    outStrides: [],
    along: -1,
  };
}

/**
 * Plans the copy that `dims` = [ndim, inOffset, outOffset, shape…, inStrides…, outStrides…] describe (see `stridedCopy` in ir/kernel.ts),
 * into `plan`, which is returned.
 *
 * @example
 * planCopy([2, 0, 0, 2, 3, 3, 1, 3, 1]).form;   // 'contiguous': (2, 3) merged into 6 elements
 */
export function planCopy(dims: readonly number[], plan: CopyPlan = newCopyPlan()): CopyPlan {
  const { shape, inStrides, outStrides } = plan;
  const rank = dims[0] ?? 0;
  plan.inOffset = dims[1] ?? 0;
  plan.outOffset = dims[2] ?? 0;
  plan.along = -1;
  let n = 0;
  let count = 1;
  for (let a = 0; a < rank; a++) {
    const extent = dims[3 + a] ?? 0;
    const inStride = dims[3 + rank + a] ?? 0;
    const outStride = dims[3 + 2 * rank + a] ?? 0;
    count *= extent;
    if (extent === 1) continue;
    // insertion: strides of the output fall
    let at = n++;
    while (at > 0 && (outStrides[at - 1] ?? 0) < outStride) {
      shape[at] = shape[at - 1] ?? 0;
      inStrides[at] = inStrides[at - 1] ?? 0;
      outStrides[at] = outStrides[at - 1] ?? 0;
      at--;
    }
    shape[at] = extent;
    inStrides[at] = inStride;
    outStrides[at] = outStride;
  }
  plan.count = count;
  plan.ndim = 0;
  plan.form = 'empty';
  if (count === 0) return plan;

  let m = 0; // axes kept; axis m − 1 takes the next one in if both run on
  for (let a = 0; a < n; a++) {
    const extent = shape[a] ?? 0;
    const inStride = inStrides[a] ?? 0;
    const outStride = outStrides[a] ?? 0;
    if (m > 0 && inStrides[m - 1] === inStride * extent && outStrides[m - 1] === outStride * extent) {
      shape[m - 1] = (shape[m - 1] ?? 0) * extent;
      inStrides[m - 1] = inStride;
      outStrides[m - 1] = outStride;
    } else {
      shape[m] = extent;
      inStrides[m] = inStride;
      outStrides[m] = outStride;
      m++;
    }
  }
  plan.ndim = m;

  let run = 1;
  let oneRun = true;
  for (let a = m - 1; a >= 0; a--) {
    if (outStrides[a] !== run) oneRun = false;
    run *= shape[a] ?? 0;
    if (inStrides[a] === 1) plan.along = a;
  }
  if (!oneRun) plan.form = 'scatter';
  else if (m === 0 || (m === 1 && plan.along === 0)) plan.form = 'contiguous';
  else if (m <= 3 && plan.along >= 0 && plan.along < m - 1) plan.form = 'transpose';
  else plan.form = 'gather';
  return plan;
}
