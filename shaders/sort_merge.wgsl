// Merges neighbouring sorted runs of each row; of equal elements the left run's go first. One invocation makes a chunk of the merged run: it finds by
// binary search how many of the elements before its chunk come from the left ("merge path"), then merges one by one. A chunk divides two runs.
// Parameters: 0 the invocations, 1 the length of a row, 2 the length of a run (the last of a row may be shorter), 3 of a chunk, 4 the chunks of a row.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let thread = thread_of(group, groups, local);
  if (thread >= pu(0)) {
    return;
  }
  let length = pu(1);
  let width = pu(2);
  let row = (thread / pu(4)) * length;
  let place = (thread % pu(4)) * pu(3);
  let begin = place - place % (2u * width);
  let middle = min(begin + width, length);
  let end = min(middle + width, length);

  // of the first `before` merged elements, those from the left
  let before = place - begin;
  var low = select(0u, before - (end - middle), before > end - middle);
  var high = min(before, middle - begin);
  while (low < high) {
    let half = (low + high) >> 1u;
    if (keys_in[row + begin + half] <= keys_in[row + middle + before - 1u - half]) {
      low = half + 1u;
    } else {
      high = half;
    }
  }

  var left = row + begin + low;
  var right = row + middle + before - low;
  let left_end = row + middle;
  let right_end = row + end;
  let to_end = row + min(place + pu(3), end);
  for (var to = row + place; to < to_end; to++) {
    // what lies past an end is read but not used
    let left_key = keys_in[min(left, left_end - 1u)];
    let right_key = keys_in[min(right, right_end - 1u)];
    let take_left = left < left_end && (right >= right_end || left_key <= right_key);
    keys[to] = select(right_key, left_key, take_left);
    places[to] = places_in[select(right, left, take_left)];
    left += select(0u, 1u, take_left);
    right += select(1u, 0u, take_left);
  }
}
