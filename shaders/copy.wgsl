// A copy into one run of elements (with gather.wgsl). Open: place(i), where element i comes from; convert(bits), to y's dtype.

fn element(i: u32) -> u32 {
  return convert(x_bits(place(i)));
}
