// Ends a product whose sums went to scratch memory first: adds the parts that a split along k left (in ascending order, so results repeat), adds
// the bias, applies the epilogue, and stores. An invocation makes four neighbouring elements, which are whole words in every dtype.
// Head: T; partial(at, part) the vec4 of a part at a multiple of 4; put(at, vec4) the bias, epilogue and store; finishEnd(), finishParts(), gridX();
// constant THREADS.

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let at = ((group.y * gridX() + group.x) * THREADS + local) * 4u;
  if (at >= finishEnd()) {
    return;
  }
  let parts = finishParts();
  var sum = partial(at, 0u);
  for (var part = 1u; part < parts; part++) {
    sum += partial(at, part);
  }
  put(at, sum);
}
