// A copy into scattered places: one invocation per element; what lies between them keeps its value.
// Open: place_x(i), place_y(i), convert(bits), put(i, bits). Parameter 0: the number of elements.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = thread_of(group, groups, local);
  if (i >= pu(0)) {
    return;
  }
  put(place_y(i), convert(x_bits(place_x(i))));
}
