// Who writes a place last: first every place has no owner (CLAIM false: one invocation per place), then each n claims its place and the highest
// stays (CLAIM true: one invocation per n). Open: cell(n), CLAIM. Parameter 0: the number of invocations; the rest is cell's.

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
  if (CLAIM) {
    atomicMax(&owners[cell(i)], i + 1u);
  } else {
    atomicStore(&owners[i], 0u);
  }
}
