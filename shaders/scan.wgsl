// Running sums along rows, a chunk of a row to an invocation. Chunks are counted in the direction of the sum.
// Open: T, load(bits), bits_of(T), start(i) what chunk i begins with, ONLY_SUMS (y takes the sum of each chunk).
// Parameters: 0 invocations, 1 length of a row, 2 inner (the step along a row), 3 length of a chunk, 4 chunks in a row, 5 exclusive, 6 reverse.

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
  let length = pu(1);
  let inner = pu(2);
  let column = i % inner;
  let chunk = (i / inner) % pu(4);
  let row = i / inner / pu(4);
  let begin = chunk * pu(3);
  let end = min(begin + pu(3), length);
  let exclusive = pu(5) != 0u;
  let reverse = pu(6) != 0u;

  var sum = start(i);
  for (var t = begin; t < end; t++) {
    let place = (row * length + select(t, length - 1u - t, reverse)) * inner + column;
    let before = sum;
    sum += load(x_bits(place));
    if (!ONLY_SUMS) {
      y[place] = bits_of(select(sum, before, exclusive));
    }
  }
  if (ONLY_SUMS) {
    y[i] = bits_of(sum);
  }
}
