// Padding by the border's value or by reflection at it, without repeating it (with gather.wgsl). Open: source(e), convert(bits), REFLECT.

fn mirror(c: i32, extent: i32) -> u32 {
  if (REFLECT && extent > 1) {
    let period = 2 * (extent - 1);
    let m = ((c % period) + period) % period;
    return u32(min(m, period - m));
  }
  return u32(clamp(c, 0, extent - 1));
}

fn element(e: u32) -> u32 {
  return convert(x_bits(source(e)));
}
