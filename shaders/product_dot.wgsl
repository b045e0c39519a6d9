// The product with very few rows or columns (matrix × vector), where both operands lie along k: a workgroup computes ROWS × COLS (each 1 … 4)
// sums, its invocations each taking every THREADS-th four k, then adding up in workgroup memory in a fixed order. Bound by reading memory once.
// Head: the holes (see product_block.wgsl) with both operands along k, Slice, sliceOf, ColC, colC, store; constants ROWS, COLS, THREADS (a power of 2);
// tilesM(), tilesN(), tileCount(), gridX().

var<workgroup> sums: array<vec4<T>, 4u * THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let id = group.y * gridX() + group.x;
  if (id >= tileCount()) {
    return;
  }
  let across = tilesN();
  let down = tilesM();
  let n = (id % across) * COLS;
  let m = ((id / across) % down) * ROWS;
  let slice = sliceOf(id / across / down);
  let rows = rowsA(slice, m);
  let cols = colsB(slice, n);
  var sum: Quad;

  for (var k = slice.kFrom + local * 4u; k < slice.kTo; k += THREADS * 4u) {
    let atA = stepA(slice, k);
    let atB = stepB(slice, k);
    var b = Quad(loadB(slice, atB, cols.c0), vec4<T>(), vec4<T>(), vec4<T>());
    if (COLS > 1u) {
      b.v1 = loadB(slice, atB, cols.c1);
    }
    if (COLS > 2u) {
      b.v2 = loadB(slice, atB, cols.c2);
    }
    if (COLS > 3u) {
      b.v3 = loadB(slice, atB, cols.c3);
    }
    let a0 = loadA(slice, rows.r0, atA);
    sum.v0 += vec4<T>(dot(a0, b.v0), dot(a0, b.v1), dot(a0, b.v2), dot(a0, b.v3));
    if (ROWS > 1u) {
      let a1 = loadA(slice, rows.r1, atA);
      sum.v1 += vec4<T>(dot(a1, b.v0), dot(a1, b.v1), dot(a1, b.v2), dot(a1, b.v3));
    }
    if (ROWS > 2u) {
      let a2 = loadA(slice, rows.r2, atA);
      sum.v2 += vec4<T>(dot(a2, b.v0), dot(a2, b.v1), dot(a2, b.v2), dot(a2, b.v3));
    }
    if (ROWS > 3u) {
      let a3 = loadA(slice, rows.r3, atA);
      sum.v3 += vec4<T>(dot(a3, b.v0), dot(a3, b.v1), dot(a3, b.v2), dot(a3, b.v3));
    }
  }

  let at = local % THREADS;
  sums[at] = sum.v0;
  if (ROWS > 1u) {
    sums[at + THREADS] = sum.v1;
  }
  if (ROWS > 2u) {
    sums[at + 2u * THREADS] = sum.v2;
  }
  if (ROWS > 3u) {
    sums[at + 3u * THREADS] = sum.v3;
  }
  for (var apart = THREADS / 2u; apart > 0u; apart /= 2u) {
    workgroupBarrier();
    if (at < apart) {
      sums[at] += sums[at + apart];
      if (ROWS > 1u) {
        sums[at + THREADS] += sums[at + THREADS + apart];
      }
      if (ROWS > 2u) {
        sums[at + 2u * THREADS] += sums[at + 2u * THREADS + apart];
      }
      if (ROWS > 3u) {
        sums[at + 3u * THREADS] += sums[at + 3u * THREADS + apart];
      }
    }
  }
  workgroupBarrier();
  if (local < ROWS) {
    store(slice, m + local, colC(slice, n), sums[local * THREADS]);
  }
}
