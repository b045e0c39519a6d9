// The gradient of averages or sums over windows, as a gather: element e collects from every window that holds it, in their order (with gather.wgsl; `element` stands in the head).
// Open: value(bits), bits_of(v), AVERAGE. Parameters as pool.wgsl has them, 17: whether an average counts padding.

fn pooled(e: u32) -> u32 {
  let extent = vec3<i32>(pi(2), pi(3), pi(4));
  let outputs = vec3<i32>(pi(5), pi(6), pi(7));
  let kernel = vec3<i32>(pi(8), pi(9), pi(10));
  let stride = vec3<i32>(pi(11), pi(12), pi(13));
  let padding = vec3<i32>(pi(14), pi(15), pi(16));
  var rest = i32(e);
  let x = rest % extent.z;
  rest /= extent.z;
  let y = rest % extent.y;
  rest /= extent.y;
  let z = rest % extent.x;
  let plane = rest / extent.x;

  let padded = vec3<i32>(z, y, x) + padding;
  let first = max((padded - kernel + stride) / stride, vec3<i32>(0));
  let last = min(padded / stride, outputs - 1);
  var sum = value(0u);
  for (var d = first.x; d <= last.x; d++) {
    for (var h = first.y; h <= last.y; h++) {
      for (var w = first.z; w <= last.z; w++) {
        let window = vec3<i32>(d, h, w);
        var v = value(g_bits(u32(((plane * outputs.x + d) * outputs.y + h) * outputs.z + w)));
        if (AVERAGE) {
          let begin = window * stride - padding;
          let whole = min(begin + kernel, extent + padding) - begin;
          let inside = min(begin + kernel, extent) - max(begin, vec3<i32>(0));
          let counted = select(inside, whole, pu(17) != 0u);
          v = v / f32(counted.x * counted.y * counted.z);
        }
        sum += v;
      }
    }
  }
  return bits_of(sum);
}
