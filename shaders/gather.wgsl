// Every word of y is one element. Open: element(i), STEPS: how many elements an invocation makes (a software adapter spends more on an invocation than
// on most elements). Parameters: 0 the first element to write, 1 the one past the last; the rest is element's.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let count = pu(1) - pu(0);
  var i = (group.y * groups.x + group.x) * WORKGROUP * STEPS + local;
  for (var step = 0u; step < STEPS && i < count; step++) {
    y[pu(0) + i] = element(i);
    i += WORKGROUP;
  }
}
