// A product kernel's call in the terms of the product itself: how many rows, columns and terms, how many such products side by side, along which
// axis the operands lie, and the sizes that the shader's head may ask for. Pure; knows no tiles and no WGSL.
import type { ProductKernel } from '../../ir/kernel.ts';

/** The forms that differ in how operands are addressed. */
export type ProductForm = ProductKernel['form'];

/** What a call of a product kernel asks for. Each of `batch · groups` products is C(m, n) = Σₖ A(m, k)·B(k, n). */
export interface ProductShape {
  readonly form: ProductForm;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Products side by side with their own A, B and C; 1 for convolutions, whose pictures lie side by side in n (or k). */
  readonly batch: number;
  readonly groups: number;
  /** The axis along which neighbours in storage are neighbours in the operand. */
  readonly aAlong: 'k' | 'm';
  readonly bAlong: 'k' | 'n';
  /** Four neighbours along that axis, from a multiple of four on, lie in one aligned vec4; for `c`: along n. Not if there are none at all. */
  readonly aVec4: boolean;
  readonly bVec4: boolean;
  readonly cVec4: boolean;
  /** Spatial axes that matter, innermost last: 1 (width only), 2 or 3; 0 for a matrix product. */
  readonly axes: 0 | 1 | 2 | 3;
  /** Windows may reach outside the picture, so loads must look. */
  readonly padded: boolean;
  /** The window is one element, stride 1, no padding: a plain product of channels. */
  readonly pointwise: boolean;
  /** Sizes by name (see `SIZE_NAMES`), all of them unsigned 32-bit. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Elements of the output, and how bias index and element are related: bias[(element / biasEvery) % biasCount]. */
  readonly outputs: number;
  readonly biasEvery: number;
  readonly biasCount: number;
  /** The same for what is one per row (or channel). */
  readonly rowEvery: number;
  readonly rowCount: number;
  /** Matrices lie inside larger arrays; what follows the product goes by the plain order all the same. */
  readonly strided: boolean;
  /** The sums of A's rows are wanted too: rows of all products side by side. */
  readonly rowSum: boolean;
}

const CONV_NAMES = [
  'images',
  'channels',
  'filters',
  'groups',
  'iD',
  'iH',
  'iW',
  'oD',
  'oH',
  'oW',
  'kD',
  'kH',
  'kW',
  'sD',
  'sH',
  'sW',
  'dD',
  'dH',
  'dW',
  'pD',
  'pH',
  'pW',
] as const;

const STRIDE_NAMES = ['inner', 'aInner', 'bInner', 'aRow', 'bRow', 'cBatch', 'cInner', 'cRow'] as const;

function matmulShape(kernel: ProductKernel, dims: readonly number[]): ProductShape {
  const [batch = 0, m = 0, n = 0, k = 0, aBatch = 0, bBatch = 0] = dims;
  const strided = dims.length > 6;
  const [aInner = 0, bInner = 0, aRow = 0, bRow = 0, cBatch = 0, cInner = 0, cRow = 0] = dims.slice(7);
  // A single row or column lies along both axes; along k it is read together with the other operand's k.
  const aAlong = kernel.transposeA && (m !== 1 || (strided && aRow !== 1)) ? 'm' : 'k';
  const bAlong = kernel.transposeB || (n === 1 && (!strided || bRow === 1)) ? 'k' : 'n';
  const whole = (extent: number, ...strides: number[]): boolean =>
    k > 0 && extent % 4 === 0 && strides.every((stride) => stride % 4 === 0);
  const plain = (extent: number, stride: number): boolean => whole(extent, batch <= 1 ? 0 : stride);
  const [aExtent, bExtent] = [aAlong === 'k' ? k : m, bAlong === 'k' ? k : n];
  const sizes = new Map([
    ['aBatch', aBatch],
    ['bBatch', bBatch],
  ]);
  if (strided) for (const [i, name] of STRIDE_NAMES.entries()) sizes.set(name, dims[6 + i] ?? 0);
  if (kernel.rowSum) sizes.set('rows', batch * m);
  return {
    form: 'matmul',
    m,
    n,
    k,
    batch,
    groups: 1,
    aAlong,
    bAlong,
    aVec4: strided ? whole(aExtent, aBatch, aInner, aRow) : plain(aExtent, aBatch),
    bVec4: strided ? whole(bExtent, bBatch, bInner, bRow) : plain(bExtent, bBatch),
    cVec4: n % 4 === 0 && (!strided || [cBatch, cInner, cRow].every((stride) => stride % 4 === 0)),
    axes: 0,
    padded: false,
    pointwise: false,
    sizes,
    outputs: batch * m * n,
    biasEvery: kernel.bias === 'm' ? n : 1,
    biasCount: kernel.bias === 'm' ? m : n,
    rowEvery: n,
    rowCount: m,
    strided,
    rowSum: kernel.rowSum,
  };
}

function convShape(kernel: ProductKernel, dims: readonly number[]): ProductShape {
  const at = (i: number): number => dims[i] ?? 0;
  const images = at(0);
  const channels = at(1);
  const filters = at(2);
  const groups = Math.max(1, at(3));
  const i = [at(4), at(5), at(6)] as const;
  const o = [at(7), at(8), at(9)] as const;
  const window = [at(10), at(11), at(12)] as const;
  const stride = [at(13), at(14), at(15)] as const;
  const dilation = [at(16), at(17), at(18)] as const;
  const padding = [at(19), at(20), at(21)] as const;
  const iVolume = i[0] * i[1] * i[2];
  const oVolume = o[0] * o[1] * o[2];
  const kVolume = window[0] * window[1] * window[2];
  const cGroup = channels / groups;
  const oGroup = filters / groups;
  const matters = (axis: 0 | 1): boolean =>
    i[axis] > 1 || o[axis] > 1 || window[axis] > 1 || padding[axis] > 0;
  const each = [0, 1, 2] as const;
  const reach = (axis: 0 | 1 | 2): number =>
    (o[axis] - 1) * stride[axis] + (window[axis] - 1) * dilation[axis];
  const sizes = new Map<string, number>(
    CONV_NAMES.map((name, index) => [name, name === 'groups' ? groups : at(index)]),
  );
  for (const [name, value] of Object.entries({ iVolume, oVolume, kVolume, cGroup, oGroup }))
    sizes.set(name, value);
  if (kernel.rowSum) sizes.set('rows', filters);
  const pointwise = kVolume === 1 && each.every((a) => stride[a] === 1 && padding[a] === 0 && i[a] === o[a]);
  const common = {
    form: kernel.form,
    batch: 1,
    groups,
    axes: matters(0) ? 3 : matters(1) ? 2 : 1,
    pointwise,
    sizes,
    strided: false,
    rowSum: kernel.rowSum,
  } as const;
  const beyond = each.some((a) => padding[a] > 0 || reach(a) >= i[a]);
  switch (kernel.form) {
    case 'matmul':
    case 'conv': {
      const k = cGroup * kVolume;
      return {
        ...common,
        m: oGroup,
        n: images * oVolume,
        k,
        aAlong: 'k',
        bAlong: 'n',
        aVec4: k > 0 && k % 4 === 0,
        bVec4: pointwise && images * channels > 0 && iVolume % 4 === 0,
        cVec4: oVolume % 4 === 0,
        padded: beyond,
        outputs: images * filters * oVolume,
        biasEvery: oVolume,
        biasCount: filters,
        rowEvery: oVolume,
        rowCount: filters,
      };
    }
    case 'convGradData':
      return {
        ...common,
        m: cGroup,
        n: images * iVolume,
        k: oGroup * kVolume,
        aAlong: kVolume === 1 ? 'm' : 'k',
        bAlong: 'n',
        aVec4: kVolume === 1 && oGroup > 0 && cGroup % 4 === 0,
        bVec4: pointwise && images * filters > 0 && oVolume % 4 === 0,
        cVec4: iVolume % 4 === 0,
        padded: !pointwise,
        outputs: images * channels * iVolume,
        biasEvery: iVolume,
        biasCount: channels,
        rowEvery: iVolume,
        rowCount: channels,
      };
    case 'convGradWeight': {
      const n = cGroup * kVolume;
      return {
        ...common,
        m: oGroup,
        n,
        k: images * oVolume,
        aAlong: 'k',
        bAlong: 'k',
        aVec4: images > 0 && oVolume % 4 === 0,
        bVec4: pointwise && images * channels > 0 && iVolume % 4 === 0,
        cVec4: n % 4 === 0,
        padded: beyond,
        outputs: filters * n,
        biasEvery: n,
        biasCount: filters,
        rowEvery: n,
        rowCount: filters,
      };
    }
  }
}

/** The product that a kernel asks for with these `dims` (see `ProductKernel`). */
export function productShape(kernel: ProductKernel, dims: readonly number[]): ProductShape {
  return kernel.form === 'matmul' ? matmulShape(kernel, dims) : convShape(kernel, dims);
}
