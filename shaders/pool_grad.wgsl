// The gradient of a maximum over windows, as a gather: element e collects from every window that it is the first greatest of (with gather.wgsl; `element` stands in the head).
// Open: value(bits), bits_of(v), to_order(v) with −0 as 0. Inputs: x, g (what is above each window).
// Parameters, three each (D, H, W): 2 input extent, 5 output extent, 8 kernel, 11 stride, 14 padding before.

/** Whether no element of the window before `self` is as great, and none after it greater. */
fn wins(plane: i32, window: vec3<i32>, self_at: i32, mine: i32) -> bool {
  let extent = vec3<i32>(pi(2), pi(3), pi(4));
  let begin = window * vec3<i32>(pi(11), pi(12), pi(13)) - vec3<i32>(pi(14), pi(15), pi(16));
  let to = min(begin + vec3<i32>(pi(8), pi(9), pi(10)), extent);
  let first = max(begin, vec3<i32>(0));
  for (var d = first.x; d < to.x; d++) {
    for (var h = first.y; h < to.y; h++) {
      let row = ((plane * extent.x + d) * extent.y + h) * extent.z;
      for (var w = first.z; w < to.z; w++) {
        let other = to_order(value(x_bits(u32(row + w))));
        if (other > mine || (other == mine && row + w < self_at)) {
          return false;
        }
      }
    }
  }
  return true;
}

fn pooled(e: u32) -> u32 {
  let extent = vec3<i32>(pi(2), pi(3), pi(4));
  let outputs = vec3<i32>(pi(5), pi(6), pi(7));
  let kernel = vec3<i32>(pi(8), pi(9), pi(10));
  let stride = vec3<i32>(pi(11), pi(12), pi(13));
  var rest = i32(e);
  let x = rest % extent.z;
  rest /= extent.z;
  let y = rest % extent.y;
  rest /= extent.y;
  let z = rest % extent.x;
  let plane = rest / extent.x;

  // the windows that hold this element: o·stride ≤ c + padding < o·stride + kernel
  let padded = vec3<i32>(z, y, x) + vec3<i32>(pi(14), pi(15), pi(16));
  let first = max((padded - kernel + stride) / stride, vec3<i32>(0));
  let last = min(padded / stride, outputs - 1);
  let mine = to_order(value(x_bits(e)));
  var sum = value(0u);
  for (var d = first.x; d <= last.x; d++) {
    for (var h = first.y; h <= last.y; h++) {
      for (var w = first.z; w <= last.z; w++) {
        if (wins(plane, vec3<i32>(d, h, w), i32(e), mine)) {
          sum += value(g_bits(u32(((plane * outputs.x + d) * outputs.y + h) * outputs.z + w)));
        }
      }
    }
  }
  return bits_of(sum);
}
