// One invocation makes one word of y from the 2 or 4 elements in it.
// Open: element(i), LANES, LANE_BITS. Parameters: 0 the first element to write, 1 the one past the last; the rest is element's.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let begin = pu(0);
  let end = pu(1);
  let word = begin / LANES + thread_of(group, groups, local);
  let first = word * LANES;
  if (first >= end) {
    return;
  }
  var bits = 0u;
  var mask = 0u;
  for (var lane = 0u; lane < LANES; lane++) {
    let i = first + lane;
    if (i >= begin && i < end) {
      bits |= element(i - begin) << (lane * LANE_BITS);
      mask |= ((1u << LANE_BITS) - 1u) << (lane * LANE_BITS);
    }
  }
  // A word at either end may hold elements that are not ours; no other invocation writes it.
  if (mask == 0xffffffffu) {
    y[word] = bits;
  } else {
    y[word] = (y[word] & ~mask) | bits;
  }
}
