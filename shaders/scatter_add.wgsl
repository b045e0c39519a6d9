// y[cell(n), s] += x[n, s] in ascending n, so that sums of floats repeat: one invocation per element of x; of those that share a place the first adds for
// all. ORDERED: writers are given in the order of their places (ties: ascending), so that they stand side by side; else they are looked for.
// Open: T, cell_of(p) the place of the p-th writer, writer(p) its n, load(bits) an x, value(bits) a y, bits_of(T), ORDERED.
// Parameters: 0 the elements in a slice, 1 the number of writers; the rest is cell's.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = thread_of(group, groups, local);
  let slice = pu(0);
  let writers = pu(1);
  let p = i / slice;
  if (p >= writers) {
    return;
  }
  let s = i - p * slice;
  let c = cell_of(p);
  for (var q = p; q > 0u; q--) {
    if (cell_of(q - 1u) == c) {
      return;
    }
    if (ORDERED) {
      break;
    }
  }
  var sum = value(y_bits(c * slice + s));
  for (var q = p; q < writers; q++) {
    if (cell_of(q) == c) {
      sum += load(x_bits(writer(q) * slice + s));
    } else if (ORDERED) {
      break;
    }
  }
  y[c * slice + s] = bits_of(sum);
}
