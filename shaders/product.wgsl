// The tiled product for real GPUs. A workgroup computes a tile of BM × BN: per step it brings BK columns of A and rows of B into workgroup
// memory, A transposed so that both are read along their rows, and each invocation adds BK outer products to its 4·ROW_QUADS × 4·COL_QUADS sums.
// What the next step needs is loaded into registers before this step is computed and put into workgroup memory after it. With two STAGES the
// workgroup waits once a step, with one (less workgroup memory) twice. Sums are named vec4s, never an indexed array.
// Every index into workgroup memory is one that Tint proves (by % and constant loops), so that it adds no clamps: seen in Dawn's SPIR-V. Correct on
// SwiftShader; speed on a GPU has not been measured yet.
// Head: the holes (see product_block.wgsl), Slice, sliceOf, ColC, colC, store, storeRowSum, mad; constants ROW_SUM, BM, BN, BK, ROW_QUADS, COL_QUADS (1 or 2),
// THREADS_M, THREADS_N (invocations down and across, multiples of 8), STAGES; tilesM(), tilesN(), tileCount(), gridX().

const THREADS = THREADS_M * THREADS_N;
const QUADS_M = BM / 4u;
const QUADS_N = BN / 4u;
const QUADS_K = BK / 4u;
const A_BLOCKS = QUADS_M * QUADS_K;
const B_BLOCKS = QUADS_N * QUADS_K;
const A_ROW = QUADS_M;
const B_ROW = QUADS_N;
// Blocks read along k are written by invocations that differ in k: without this, to the same banks of workgroup memory. The places of a row's vec4s
// are exchanged by an exclusive or that differs from one four k to the next, which leaves reads as they are. (Wider rows would do too, but not fit.)
const SWIZZLE_A = select(0u, 8u / QUADS_K, A_ALONG_K);
const SWIZZLE_B = select(0u, 8u / QUADS_K, B_ALONG_K);
// Tiles of a band of this many tile rows are computed one column after the other, so that what runs at one time shares rows and columns in the cache.
const BAND = 8u;

var<workgroup> tileA: array<vec4<T>, STAGES * BK * A_ROW>;
var<workgroup> tileB: array<vec4<T>, STAGES * BK * B_ROW>;

fn outer(sum: Quad, a: vec4<T>, b: vec4<T>) -> Quad {
  return Quad(mad(a.x, b, sum.v0), mad(a.y, b, sum.v1), mad(a.z, b, sum.v2), mad(a.w, b, sum.v3));
}

fn storeRows(slice: Slice, m: u32, at: ColC, sum: Quad) {
  store(slice, m, at, sum.v0);
  store(slice, m + 1u, at, sum.v1);
  store(slice, m + 2u, at, sum.v2);
  store(slice, m + 3u, at, sum.v3);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let id = group.y * gridX() + group.x;
  if (id >= tileCount()) {
    return;
  }
  let across = tilesN();
  let down = tilesM();
  let slice = sliceOf(id / (across * down));
  let place = id % (across * down);
  let firstRow = place / (BAND * across) * BAND;
  let height = min(down - firstRow, BAND);
  let inBand = place % (BAND * across);
  let tileM = (firstRow + inBand % height) * BM;
  let tileN = inBand / height * BN;

  // Each invocation brings one block of 4 × 4, of A or of B (some may have none). Along k, neighbours take neighbouring k.
  let bringsA = local < A_BLOCKS;
  let bringsB = !bringsA && local < A_BLOCKS + B_BLOCKS;
  let blockOfB = local - A_BLOCKS;
  let quadM = select(local, local / QUADS_K, A_ALONG_K) % QUADS_M;
  let quadKA = select(local / QUADS_M, local, A_ALONG_K) % QUADS_K;
  let quadN = select(blockOfB, blockOfB / QUADS_K, B_ALONG_K) % QUADS_N;
  let quadKB = select(blockOfB / QUADS_N, blockOfB, B_ALONG_K) % QUADS_K;
  let rows = rowsA(slice, tileM + quadM * 4u);
  let cols = colsB(slice, tileN + quadN * 4u);
  let putA = quadKA * 4u * A_ROW + (quadM ^ (quadKA * SWIZZLE_A)) % QUADS_M;
  let putB = quadKB * 4u * B_ROW + (quadN ^ (quadKB * SWIZZLE_B)) % QUADS_N;

  // Eight by four neighbours of a 32-wide subgroup share reads from workgroup memory, where the workgroup is large enough for it.
  const WIDE = THREADS_N % 4u == 0u && THREADS_M % 8u == 0u;
  let subgroup = local / 32u;
  let threadM = select(local / THREADS_N, subgroup / (THREADS_N / 4u) * 8u + local % 32u / 4u, WIDE) % THREADS_M;
  let threadN = select(local, subgroup % (THREADS_N / 4u) * 4u + local % 4u, WIDE) % THREADS_N;

  var sum00: Quad;
  var sum01: Quad;
  var sum10: Quad;
  var sum11: Quad;
  var block: Quad;
  // of the block's four rows of A, where it brings one
  var rowSums: vec4<T>;

  let steps = (slice.kTo - slice.kFrom + BK - 1u) / BK;
  if (bringsA) {
    block = blockA(slice, rows, stepsA(slice, slice.kFrom + quadKA * 4u), 4u);
    if (ROW_SUM) {
      rowSums = block.v0 + block.v1 + block.v2 + block.v3;
    }
    tileA[putA] = block.v0;
    tileA[putA + A_ROW] = block.v1;
    tileA[putA + 2u * A_ROW] = block.v2;
    tileA[putA + 3u * A_ROW] = block.v3;
  } else if (bringsB) {
    block = blockB(slice, stepsB(slice, slice.kFrom + quadKB * 4u), cols);
    tileB[putB] = block.v0;
    tileB[putB + B_ROW] = block.v1;
    tileB[putB + 2u * B_ROW] = block.v2;
    tileB[putB + 3u * B_ROW] = block.v3;
  }
  workgroupBarrier();

  for (var step = 0u; step < steps; step++) {
    if (step + 1u < steps) {
      let k = slice.kFrom + (step + 1u) * BK;
      if (bringsA) {
        block = blockA(slice, rows, stepsA(slice, k + quadKA * 4u), 4u);
        if (ROW_SUM) {
          rowSums += block.v0 + block.v1 + block.v2 + block.v3;
        }
      } else if (bringsB) {
        block = blockB(slice, stepsB(slice, k + quadKB * 4u), cols);
      }
    }

    let fromA = step % STAGES * (BK * A_ROW);
    let fromB = step % STAGES * (BK * B_ROW);
    for (var q = 0u; q < QUADS_K; q++) {
      let atA = fromA + q * (4u * A_ROW) + (threadM ^ (q * SWIZZLE_A)) % THREADS_M;
      let atB = fromB + q * (4u * B_ROW) + (threadN ^ (q * SWIZZLE_B)) % THREADS_N;
      let a0 = tileA[atA];
      let b0 = tileB[atB];
      sum00 = outer(sum00, a0, b0);
      let a1 = tileA[atA + A_ROW];
      let b1 = tileB[atB + B_ROW];
      sum00 = outer(sum00, a1, b1);
      let a2 = tileA[atA + 2u * A_ROW];
      let b2 = tileB[atB + 2u * B_ROW];
      sum00 = outer(sum00, a2, b2);
      let a3 = tileA[atA + 3u * A_ROW];
      let b3 = tileB[atB + 3u * B_ROW];
      sum00 = outer(sum00, a3, b3);
      if (COL_QUADS > 1u) {
        let right = atB + (COL_QUADS - 1u) * THREADS_N;
        sum01 = outer(sum01, a0, tileB[right]);
        sum01 = outer(sum01, a1, tileB[right + B_ROW]);
        sum01 = outer(sum01, a2, tileB[right + 2u * B_ROW]);
        sum01 = outer(sum01, a3, tileB[right + 3u * B_ROW]);
      }
      if (ROW_QUADS > 1u) {
        let low = atA + (ROW_QUADS - 1u) * THREADS_M;
        sum10 = outer(sum10, tileA[low], b0);
        sum10 = outer(sum10, tileA[low + A_ROW], b1);
        sum10 = outer(sum10, tileA[low + 2u * A_ROW], b2);
        sum10 = outer(sum10, tileA[low + 3u * A_ROW], b3);
        if (COL_QUADS > 1u) {
          let right = atB + (COL_QUADS - 1u) * THREADS_N;
          sum11 = outer(sum11, tileA[low], tileB[right]);
          sum11 = outer(sum11, tileA[low + A_ROW], tileB[right + B_ROW]);
          sum11 = outer(sum11, tileA[low + 2u * A_ROW], tileB[right + 2u * B_ROW]);
          sum11 = outer(sum11, tileA[low + 3u * A_ROW], tileB[right + 3u * B_ROW]);
        }
      }
    }

    if (STAGES == 1u) {
      workgroupBarrier();
    }
    if (step + 1u < steps) {
      let stage = (step + 1u) % STAGES;
      if (bringsA) {
        let at = stage * (BK * A_ROW) + putA;
        tileA[at] = block.v0;
        tileA[at + A_ROW] = block.v1;
        tileA[at + 2u * A_ROW] = block.v2;
        tileA[at + 3u * A_ROW] = block.v3;
      } else if (bringsB) {
        let at = stage * (BK * B_ROW) + putB;
        tileB[at] = block.v0;
        tileB[at + B_ROW] = block.v1;
        tileB[at + 2u * B_ROW] = block.v2;
        tileB[at + 3u * B_ROW] = block.v3;
      }
    }
    workgroupBarrier();
  }

  if (ROW_SUM) {
    // those who brought the same rows add up, through tileA, which nobody reads any more
    if (bringsA) {
      tileA[(quadM * QUADS_K + quadKA) % A_BLOCKS] = rowSums;
    }
    workgroupBarrier();
    if (local < QUADS_M && tileN == 0u) {
      var sum: vec4<T>;
      for (var q = 0u; q < QUADS_K; q++) {
        sum += tileA[(local * QUADS_K + q) % A_BLOCKS];
      }
      let row = tileM + local * 4u;
      storeRowSum(slice, row, sum.x);
      storeRowSum(slice, row + 1u, sum.y);
      storeRowSum(slice, row + 2u, sum.z);
      storeRowSum(slice, row + 3u, sum.w);
    }
  }

  let m = tileM + threadM * 4u;
  let left = colC(slice, tileN + threadN * 4u);
  storeRows(slice, m, left, sum00);
  if (ROW_QUADS > 1u) {
    storeRows(slice, m + THREADS_M * 4u, left, sum10);
  }
  if (COL_QUADS > 1u) {
    let right = colC(slice, tileN + (THREADS_N + threadN) * 4u);
    storeRows(slice, m, right, sum01);
    if (ROW_QUADS > 1u) {
      storeRows(slice, m + THREADS_M * 4u, right, sum11);
    }
  }
}
