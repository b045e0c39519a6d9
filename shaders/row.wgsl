// What a workgroup does together in a row kernel: it folds the values of its invocations into one, as a tree, so that the order never changes.
// The head gives `alias T` (f32, i32 or u32) and `const WORKGROUP: u32` (a power of two). All invocations of the workgroup must call.

var<workgroup> held: array<T, WORKGROUP>;

var<workgroup> place_held: array<u32, WORKGROUP>;

fn group_sum(lane: u32, x: T) -> T {
  workgroupBarrier();
  held[lane] = x;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half = half >> 1u) {
    if (lane < half) { held[lane] = held[lane] + held[lane + half]; }
    workgroupBarrier();
  }
  return held[0];
}

fn group_prod(lane: u32, x: T) -> T {
  workgroupBarrier();
  held[lane] = x;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half = half >> 1u) {
    if (lane < half) { held[lane] = held[lane] * held[lane + half]; }
    workgroupBarrier();
  }
  return held[0];
}

fn group_max(lane: u32, x: T) -> T {
  workgroupBarrier();
  held[lane] = x;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half = half >> 1u) {
    if (lane < half) { held[lane] = larger(held[lane], held[lane + half]); }
    workgroupBarrier();
  }
  return held[0];
}

fn group_min(lane: u32, x: T) -> T {
  workgroupBarrier();
  held[lane] = x;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half = half >> 1u) {
    if (lane < half) { held[lane] = smaller(held[lane], held[lane + half]); }
    workgroupBarrier();
  }
  return held[0];
}

// The invocation's own best and its place (NOWHERE where it saw nothing) become the workgroup's: the winner's place, in `place_held[0]`.
fn group_argmax(lane: u32, x: T, place: u32) -> T {
  workgroupBarrier();
  held[lane] = x;
  place_held[lane] = place;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half = half >> 1u) {
    if (lane < half && first_above(held[lane + half], place_held[lane + half], held[lane], place_held[lane])) {
      held[lane] = held[lane + half];
      place_held[lane] = place_held[lane + half];
    }
    workgroupBarrier();
  }
  return held[0];
}

fn group_argmin(lane: u32, x: T, place: u32) -> T {
  workgroupBarrier();
  held[lane] = x;
  place_held[lane] = place;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half = half >> 1u) {
    if (lane < half && first_below(held[lane + half], place_held[lane + half], held[lane], place_held[lane])) {
      held[lane] = held[lane + half];
      place_held[lane] = place_held[lane + half];
    }
    workgroupBarrier();
  }
  return held[0];
}

// Whether (x, at) goes before (y, where_) as the first place of the largest value. NOWHERE loses to everything.
fn first_above(x: T, at: u32, y: T, where_: u32) -> bool {
  if (at == NOWHERE || where_ == NOWHERE) { return at != NOWHERE; }
  if (unordered(x) || unordered(y)) {
    if (unordered(x) && unordered(y)) { return at < where_; }
    return unordered(x);
  }
  return x > y || (x == y && at < where_);
}

fn first_below(x: T, at: u32, y: T, where_: u32) -> bool {
  if (at == NOWHERE || where_ == NOWHERE) { return at != NOWHERE; }
  if (unordered(x) || unordered(y)) {
    if (unordered(x) && unordered(y)) { return at < where_; }
    return unordered(x);
  }
  return x < y || (x == y && at < where_);
}
