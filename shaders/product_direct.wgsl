// The product without workgroup memory: each invocation computes a tile of ROWS × COLS by itself, from storage to registers to storage.
// For software adapters (a kernel with barriers takes them 0.3–0.5 s to compile and runs slower) and, elsewhere, for products with few rows.
// Head: the holes (see product_block.wgsl), Slice, sliceOf, ColC, colC, store, storeRowSum, mad; constants ROWS (1 … 8), COLS (4 or 8), THREADS, ROW_SUM;
// tilesM(), tilesN(), tileCount(), gridX().

// One row of the sum, and four k of that row of A, on four k of B.
fn along4(sum: vec4<T>, a: vec4<T>, b: Quad) -> vec4<T> {
  return mad(a.w, b.v3, mad(a.z, b.v2, mad(a.y, b.v1, mad(a.x, b.v0, sum))));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let id = (group.y * gridX() + group.x) * THREADS + local;
  if (id >= tileCount()) {
    return;
  }
  let across = tilesN();
  let down = tilesM();
  let n = (id % across) * COLS;
  let m = ((id / across) % down) * ROWS;
  let slice = sliceOf(id / across / down);

  let rowsLow = rowsA(slice, m);
  let rowsHigh = rowsA(slice, m + 4u);
  let colsLeft = colsB(slice, n);
  let colsRight = colsB(slice, n + 4u);
  var left0: vec4<T>;
  var left1: vec4<T>;
  var left2: vec4<T>;
  var left3: vec4<T>;
  var left4: vec4<T>;
  var left5: vec4<T>;
  var left6: vec4<T>;
  var left7: vec4<T>;
  var right0: vec4<T>;
  var right1: vec4<T>;
  var right2: vec4<T>;
  var right3: vec4<T>;
  var right4: vec4<T>;
  var right5: vec4<T>;
  var right6: vec4<T>;
  var right7: vec4<T>;
  // sums of A's rows
  var sumsLow: vec4<T>;
  var sumsHigh: vec4<T>;

  for (var k = slice.kFrom; k < slice.kTo; k += 4u) {
    let atA = stepsA(slice, k);
    let atB = stepsB(slice, k);
    let blockLow = blockA(slice, rowsLow, atA, ROWS);
    let low = transposed(blockLow);
    if (ROW_SUM) {
      sumsLow += blockLow.v0 + blockLow.v1 + blockLow.v2 + blockLow.v3;
    }
    let left = blockB(slice, atB, colsLeft);
    var high: Quad;
    var right: Quad;
    if (ROWS > 4u) {
      let blockHigh = blockA(slice, rowsHigh, atA, ROWS - min(ROWS, 4u));
      high = transposed(blockHigh);
      if (ROW_SUM) {
        sumsHigh += blockHigh.v0 + blockHigh.v1 + blockHigh.v2 + blockHigh.v3;
      }
    }
    if (COLS > 4u) {
      right = blockB(slice, atB, colsRight);
    }
    left0 = along4(left0, low.v0, left);
    if (ROWS > 1u) {
      left1 = along4(left1, low.v1, left);
    }
    if (ROWS > 2u) {
      left2 = along4(left2, low.v2, left);
    }
    if (ROWS > 3u) {
      left3 = along4(left3, low.v3, left);
    }
    if (ROWS > 4u) {
      left4 = along4(left4, high.v0, left);
    }
    if (ROWS > 5u) {
      left5 = along4(left5, high.v1, left);
    }
    if (ROWS > 6u) {
      left6 = along4(left6, high.v2, left);
    }
    if (ROWS > 7u) {
      left7 = along4(left7, high.v3, left);
    }
    if (COLS > 4u) {
      right0 = along4(right0, low.v0, right);
      if (ROWS > 1u) {
        right1 = along4(right1, low.v1, right);
      }
      if (ROWS > 2u) {
        right2 = along4(right2, low.v2, right);
      }
      if (ROWS > 3u) {
        right3 = along4(right3, low.v3, right);
      }
      if (ROWS > 4u) {
        right4 = along4(right4, high.v0, right);
      }
      if (ROWS > 5u) {
        right5 = along4(right5, high.v1, right);
      }
      if (ROWS > 6u) {
        right6 = along4(right6, high.v2, right);
      }
      if (ROWS > 7u) {
        right7 = along4(right7, high.v3, right);
      }
    }
  }

  if (ROW_SUM && n == 0u) {
    storeRowSum(slice, m, sumsLow.x);
    if (ROWS > 1u) {
      storeRowSum(slice, m + 1u, sumsLow.y);
    }
    if (ROWS > 2u) {
      storeRowSum(slice, m + 2u, sumsLow.z);
    }
    if (ROWS > 3u) {
      storeRowSum(slice, m + 3u, sumsLow.w);
    }
    if (ROWS > 4u) {
      storeRowSum(slice, m + 4u, sumsHigh.x);
    }
    if (ROWS > 5u) {
      storeRowSum(slice, m + 5u, sumsHigh.y);
    }
    if (ROWS > 6u) {
      storeRowSum(slice, m + 6u, sumsHigh.z);
    }
    if (ROWS > 7u) {
      storeRowSum(slice, m + 7u, sumsHigh.w);
    }
  }
  let at = colC(slice, n);
  store(slice, m, at, left0);
  if (ROWS > 1u) {
    store(slice, m + 1u, at, left1);
  }
  if (ROWS > 2u) {
    store(slice, m + 2u, at, left2);
  }
  if (ROWS > 3u) {
    store(slice, m + 3u, at, left3);
  }
  if (ROWS > 4u) {
    store(slice, m + 4u, at, left4);
  }
  if (ROWS > 5u) {
    store(slice, m + 5u, at, left5);
  }
  if (ROWS > 6u) {
    store(slice, m + 6u, at, left6);
  }
  if (ROWS > 7u) {
    store(slice, m + 7u, at, left7);
  }
  if (COLS > 4u) {
    let next = colC(slice, n + 4u);
    store(slice, m, next, right0);
    if (ROWS > 1u) {
      store(slice, m + 1u, next, right1);
    }
    if (ROWS > 2u) {
      store(slice, m + 2u, next, right2);
    }
    if (ROWS > 3u) {
      store(slice, m + 3u, next, right3);
    }
    if (ROWS > 4u) {
      store(slice, m + 4u, next, right4);
    }
    if (ROWS > 5u) {
      store(slice, m + 5u, next, right5);
    }
    if (ROWS > 6u) {
      store(slice, m + 6u, next, right6);
    }
    if (ROWS > 7u) {
      store(slice, m + 7u, next, right7);
    }
  }
}
