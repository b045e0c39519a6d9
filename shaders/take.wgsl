// y[o, j, i] = x[o, index, i], where the index is that of j, or (ALONG) that of the output element itself (with gather.wgsl).
// Open: index_at(i), convert(bits), ALONG. Parameters: 2 extent, 3 inner, 4 count, 5 mode (0 clips, 1 wraps as Python's %).

fn element(e: u32) -> u32 {
  let extent = pi(2);
  let inner = pu(3);
  let count = pu(4);
  let row = e / inner;
  let i = e - row * inner;
  let o = row / count;
  let j = row - o * count;
  var k = index_at(select(j, e, ALONG));
  if (pu(5) == 0u) {
    k = clamp(k, 0, extent - 1);
  } else {
    k = k % extent;
    k = select(k, k + extent, k < 0);
  }
  return convert(x_bits((o * pu(2) + u32(k)) * inner + i));
}
