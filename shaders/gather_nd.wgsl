// y[n, s] = x[cell(n), s] (with gather.wgsl). Open: cell(n), convert(bits). Parameter 2: the elements in a slice; the rest is cell's.

fn element(e: u32) -> u32 {
  let n = e / pu(2);
  return convert(x_bits(cell(n) * pu(2) + e - n * pu(2)));
}
