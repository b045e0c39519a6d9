// The maximum, average or sum over a window of up to three axes (with gather.wgsl; `element` stands in the head).
// Open: T, value(bits), bits_of(T), divide(T, n), to_order(T), from_order(i32), LOWEST, MAX, AVERAGE.
// Parameters, three each (D, H, W): 2 input extent, 5 output extent, 8 kernel, 11 stride, 14 padding before; 17 whether an average counts padding.

fn pooled(e: u32) -> u32 {
  var rest = i32(e);
  let ow = rest % pi(7);
  rest /= pi(7);
  let oh = rest % pi(6);
  rest /= pi(6);
  let od = rest % pi(5);
  let plane = rest / pi(5);

  let extent = vec3<i32>(pi(2), pi(3), pi(4));
  let begin = vec3<i32>(od, oh, ow) * vec3<i32>(pi(11), pi(12), pi(13)) - vec3<i32>(pi(14), pi(15), pi(16));
  let end = min(begin + vec3<i32>(pi(8), pi(9), pi(10)), extent + vec3<i32>(pi(14), pi(15), pi(16)));
  let first = max(begin, vec3<i32>(0));
  let to = min(end, extent);

  var best = LOWEST;
  var sum = T(0);
  for (var d = first.x; d < to.x; d++) {
    for (var h = first.y; h < to.y; h++) {
      let row = ((plane * extent.x + d) * extent.y + h) * extent.z;
      for (var w = first.z; w < to.z; w++) {
        let v = value(x_bits(u32(row + w)));
        if (MAX) {
          best = max(best, to_order(v));
        } else {
          sum += v;
        }
      }
    }
  }
  if (MAX) {
    return bits_of(from_order(best));
  }
  if (AVERAGE) {
    let counted = select(max(to - first, vec3<i32>(0)), end - begin, pu(17) != 0u);
    sum = divide(sum, counted.x * counted.y * counted.z);
  }
  return bits_of(sum);
}
