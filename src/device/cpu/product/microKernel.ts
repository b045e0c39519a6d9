// The innermost loops of every product: 4 rows times 4 columns of packed panels, sixteen sums in registers. Nothing here knows where
// the numbers come from or go; WebAssembly kernels can take this file's place.

/** Rows and columns of a strip. */
export const STRIP = 4;

/**
 * Adds A·B to the 4×4 block of `c` at `cAt`, rows `ldc` apart. `a` holds for each k four rows' elements, `b` four columns', from `aAt`
 * and `bAt` on.
 */
export type MicroKernel = (
  a: Float64Array,
  aAt: number,
  b: Float64Array,
  bAt: number,
  k: number,
  c: Float64Array,
  cAt: number,
  ldc: number,
) => void;

/** Floats of either width: panels hold doubles, so float32 is converted once when packed and summed in double. */
export const floatKernel: MicroKernel = (a, aAt, b, bAt, k, c, cAt, ldc) => {
  let c00 = 0;
  let c01 = 0;
  let c02 = 0;
  let c03 = 0;
  let c10 = 0;
  let c11 = 0;
  let c12 = 0;
  let c13 = 0;
  let c20 = 0;
  let c21 = 0;
  let c22 = 0;
  let c23 = 0;
  let c30 = 0;
  let c31 = 0;
  let c32 = 0;
  let c33 = 0;
  for (let i = 0; i < k; i++, aAt += 4, bAt += 4) {
    const b0 = b[bAt] as number;
    const b1 = b[bAt + 1] as number;
    const b2 = b[bAt + 2] as number;
    const b3 = b[bAt + 3] as number;
    let x = a[aAt] as number;
    c00 += x * b0;
    c01 += x * b1;
    c02 += x * b2;
    c03 += x * b3;
    x = a[aAt + 1] as number;
    c10 += x * b0;
    c11 += x * b1;
    c12 += x * b2;
    c13 += x * b3;
    x = a[aAt + 2] as number;
    c20 += x * b0;
    c21 += x * b1;
    c22 += x * b2;
    c23 += x * b3;
    x = a[aAt + 3] as number;
    c30 += x * b0;
    c31 += x * b1;
    c32 += x * b2;
    c33 += x * b3;
  }
  let at = cAt;
  c[at] = (c[at] as number) + c00;
  c[at + 1] = (c[at + 1] as number) + c01;
  c[at + 2] = (c[at + 2] as number) + c02;
  c[at + 3] = (c[at + 3] as number) + c03;
  at += ldc;
  c[at] = (c[at] as number) + c10;
  c[at + 1] = (c[at + 1] as number) + c11;
  c[at + 2] = (c[at + 2] as number) + c12;
  c[at + 3] = (c[at + 3] as number) + c13;
  at += ldc;
  c[at] = (c[at] as number) + c20;
  c[at + 1] = (c[at + 1] as number) + c21;
  c[at + 2] = (c[at + 2] as number) + c22;
  c[at + 3] = (c[at + 3] as number) + c23;
  at += ldc;
  c[at] = (c[at] as number) + c30;
  c[at + 1] = (c[at + 1] as number) + c31;
  c[at + 2] = (c[at + 2] as number) + c32;
  c[at + 3] = (c[at + 3] as number) + c33;
};

/** Integers modulo 2³²; the panels hold them exactly as doubles. */
export const intKernel: MicroKernel = (a, aAt, b, bAt, k, c, cAt, ldc) => {
  for (let row = 0; row < STRIP; row++) {
    for (let column = 0; column < STRIP; column++) {
      const at = cAt + row * ldc + column;
      let sum = c[at] as number;
      for (let i = 0; i < k; i++)
        sum =
          (sum + Math.imul(a[aAt + i * STRIP + row] as number, b[bAt + i * STRIP + column] as number)) | 0;
      c[at] = sum;
    }
  }
};
