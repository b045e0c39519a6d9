// The gradient of a maximum over windows of two axes that lie side by side: an invocation takes a window, finds its first greatest element and writes all of them,
// zeros but for that one. Beyond the last whole window there are zeros.
// Open: windows of KH × KW; pick(at, row) → the place, counted in the window, of the first greatest of the elements from `at` on; value(bits), bits_of(v),
// finished(e, bits). Inputs: x, g (what is above each window). Parameters: 1 how many windows (parts of windows counted), then as pool_grad.wgsl has them.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let id = thread_of(group, groups, local);
  if (id >= pu(1)) {
    return;
  }
  let down = (pu(3) + KH - 1u) / KH;
  let across = (pu(4) + KW - 1u) / KW;
  let row = id / across;
  let plane = row / down;
  let oh = row - plane * down;
  let ow = id - row * across;
  let width = pu(4);
  let at = (plane * pu(3) + oh * KH) * width + ow * KW;
  var place = KH * KW;
  var above = 0u;
  if (oh < pu(6) && ow < pu(7)) {
    place = pick(at, width);
    above = bits_of(value(0u) + value(g_bits((plane * pu(6) + oh) * pu(7) + ow)));
  }
  let height = min(KH, pu(3) - oh * KH);
  let columns = min(KW, width - ow * KW);
  for (var h = 0u; h < height; h++) {
    for (var w = 0u; w < columns; w++) {
      let e = at + h * width + w;
      y[e] = finished(e, select(0u, above, place == h * KW + w));
    }
  }
}
