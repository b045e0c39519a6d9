// The maximum, average or sum over small windows of two axes, none of which reaches over the border: nothing to clip (with gather.wgsl; `element` stands in the head).
// Open: T, fold_window(at) over the SIZE elements of the window that begins at element `at`, bits_of(T), divide(T, n), AVERAGE.
// Parameters as pool.wgsl has them: 3 and 4 input extents, 6 and 7 output extents, 12 and 13 strides.

fn pooled(e: u32) -> u32 {
  let row = e / pu(7);
  let plane = row / pu(6);
  let oh = row - plane * pu(6);
  let ow = e - row * pu(7);
  let v = fold_window((plane * pu(3) + oh * pu(12)) * pu(4) + ow * pu(13));
  if (AVERAGE) {
    return bits_of(divide(v, SIZE));
  }
  return bits_of(v);
}
