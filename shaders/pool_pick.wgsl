// What stands in g where a window of x has its first greatest element; 0 for a window without elements (with gather.wgsl; `element` stands in the head).
// Open: value(bits), to_order(v) with −0 as 0. Parameters as pool_grad.wgsl has them. Moves bits: x, g and y have one dtype.

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
  let to = min(begin + vec3<i32>(pi(8), pi(9), pi(10)), extent);
  let first = max(begin, vec3<i32>(0));
  var best = 0;
  var place = -1;
  for (var d = first.x; d < to.x; d++) {
    for (var h = first.y; h < to.y; h++) {
      let row = ((plane * extent.x + d) * extent.y + h) * extent.z;
      for (var w = first.z; w < to.z; w++) {
        let v = to_order(value(x_bits(u32(row + w))));
        if (place < 0 || v > best) {
          best = v;
          place = row + w;
        }
      }
    }
  }
  if (place < 0) {
    return 0u;
  }
  return g_bits(u32(place));
}
