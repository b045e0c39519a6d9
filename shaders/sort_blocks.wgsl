// Sorts each block of each row by counting: an element's rank is the number of elements that go before it, ties in their former order.
// One invocation per element. Open: key(i), emit(to, place in the row, i, key).
// Parameters: 0 the elements of all rows, 1 the length of a row, 2 the length of a block (the last of a row may be shorter); the rest is key's.

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
  let place = i % pu(1);
  let row = i - place;
  let begin = place - place % pu(2);
  let end = min(begin + pu(2), pu(1));
  let own = key(i);
  var rank = begin;
  for (var m = begin; m < place; m++) {
    rank += select(0u, 1u, key(row + m) <= own);
  }
  for (var m = place + 1u; m < end; m++) {
    rank += select(0u, 1u, key(row + m) < own);
  }
  emit(row + rank, place, i, own);
}
