// Ends a product whose sums went to scratch memory first: adds the parts that a split along k left (in ascending order, so results repeat), adds
// the bias, applies the epilogue, and stores. An invocation makes four neighbouring elements, which are whole words in every dtype.
// Head: T; partial(at) the vec4 of parts at a multiple of 4; put(at, vec4) the bias, epilogue and store; finishCount(), finishParts(),
// finishStride() (elements from one part to the next), gridX(); constant THREADS.

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let at = ((group.y * gridX() + group.x) * THREADS + local) * 4u;
  if (at >= finishCount()) {
    return;
  }
  let parts = finishParts();
  let stride = finishStride();
  var sum = partial(at);
  for (var part = 1u; part < parts; part++) {
    sum += partial(at + part * stride);
  }
  put(at, sum);
}
