// y[cell(n), s] = x[n, s] for each n that owns its place: one invocation per element of x.
// Open: cell(n), owned(n), convert(bits), put(i, bits). Parameters: 0 the elements in a slice, 1 the number of n; the rest is cell's.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = thread_of(group, groups, local);
  let n = i / pu(0);
  if (n >= pu(1)) {
    return;
  }
  if (owned(n)) {
    put(cell(n) * pu(0) + i - n * pu(0), convert(x_bits(i)));
  }
}
