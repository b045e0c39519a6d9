// What the product's bodies share: blocks of 4 × 4 elements in registers, read through the holes that the head fills.
// Head: T, A_ALONG_K, B_ALONG_K, Slice, RowA, StepA, ColB, StepB, rowA, stepA, loadA, colB, stepB, loadB.
// A load gives a vec4 along one axis: k where ..._ALONG_K says so, else m (of A) or n (of B).

// Four vec4s. As a block of A or B: v0 … v3 are the elements of four m (or n) at k, k + 1, k + 2, k + 3. As a sum: v0 … v3 are four rows.
struct Quad {
  v0: vec4<T>,
  v1: vec4<T>,
  v2: vec4<T>,
  v3: vec4<T>,
}

fn transposed(q: Quad) -> Quad {
  return Quad(
    vec4<T>(q.v0.x, q.v1.x, q.v2.x, q.v3.x),
    vec4<T>(q.v0.y, q.v1.y, q.v2.y, q.v3.y),
    vec4<T>(q.v0.z, q.v1.z, q.v2.z, q.v3.z),
    vec4<T>(q.v0.w, q.v1.w, q.v2.w, q.v3.w),
  );
}

// Four rows of A from m on. Along m, r0 stands for all four.
struct RowsA {
  r0: RowA,
  r1: RowA,
  r2: RowA,
  r3: RowA,
}

fn rowsA(slice: Slice, m: u32) -> RowsA {
  return RowsA(rowA(slice, m), rowA(slice, m + 1u), rowA(slice, m + 2u), rowA(slice, m + 3u));
}

// Four columns of B from n on. Along n, c0 stands for all four.
struct ColsB {
  c0: ColB,
  c1: ColB,
  c2: ColB,
  c3: ColB,
}

fn colsB(slice: Slice, n: u32) -> ColsB {
  return ColsB(colB(slice, n), colB(slice, n + 1u), colB(slice, n + 2u), colB(slice, n + 3u));
}

// What four k have in common for all rows or columns. Along k, s0 stands for all four.
struct StepsA {
  s0: StepA,
  s1: StepA,
  s2: StepA,
  s3: StepA,
}

fn stepsA(slice: Slice, k: u32) -> StepsA {
  return StepsA(stepA(slice, k), stepA(slice, k + 1u), stepA(slice, k + 2u), stepA(slice, k + 3u));
}

struct StepsB {
  s0: StepB,
  s1: StepB,
  s2: StepB,
  s3: StepB,
}

fn stepsB(slice: Slice, k: u32) -> StepsB {
  return StepsB(stepB(slice, k), stepB(slice, k + 1u), stepB(slice, k + 2u), stepB(slice, k + 3u));
}

// A's block at four rows and four k; `wanted` (a constant where this is called) says how many of the rows are needed.
fn blockA(slice: Slice, rows: RowsA, steps: StepsA, wanted: u32) -> Quad {
  var q: Quad;
  if (A_ALONG_K) {
    q.v0 = loadA(slice, rows.r0, steps.s0);
    if (wanted > 1u) {
      q.v1 = loadA(slice, rows.r1, steps.s0);
    }
    if (wanted > 2u) {
      q.v2 = loadA(slice, rows.r2, steps.s0);
    }
    if (wanted > 3u) {
      q.v3 = loadA(slice, rows.r3, steps.s0);
    }
    q = transposed(q);
  } else {
    q.v0 = loadA(slice, rows.r0, steps.s0);
    q.v1 = loadA(slice, rows.r0, steps.s1);
    q.v2 = loadA(slice, rows.r0, steps.s2);
    q.v3 = loadA(slice, rows.r0, steps.s3);
  }
  return q;
}

// B's block at four columns and four k.
fn blockB(slice: Slice, steps: StepsB, cols: ColsB) -> Quad {
  var q: Quad;
  if (B_ALONG_K) {
    q.v0 = loadB(slice, steps.s0, cols.c0);
    q.v1 = loadB(slice, steps.s0, cols.c1);
    q.v2 = loadB(slice, steps.s0, cols.c2);
    q.v3 = loadB(slice, steps.s0, cols.c3);
    q = transposed(q);
  } else {
    q.v0 = loadB(slice, steps.s0, cols.c0);
    q.v1 = loadB(slice, steps.s1, cols.c0);
    q.v2 = loadB(slice, steps.s2, cols.c0);
    q.v3 = loadB(slice, steps.s3, cols.c0);
  }
  return q;
}
