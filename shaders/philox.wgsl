// Random numbers on the GPU: Philox4x32-10 words made into uniform, normal and integer values and dropout masks, the digits MXNet gives on gpu(0).
// What each draw takes (key, places) is laid out by src/core/random/philox.ts; the same numbers in TypeScript: src/core/random/philoxReference.ts.
//
// The generated head declares
//   const WORKGROUP_SIZE: u32 = 64;
//   const KIND: u32 = 0;                                            0 uniform, 1 normal, 2 integers, 3 dropout
//   const SCALED: bool = false;                                     uniform, normal: whether a is not 0 or b is not 1
//     (these three: philoxConstants of philox.ts)
//   struct Params { v: array<vec4<u32>, 16> }
//   @group(…) @binding(…) var<uniform> params: Params;              256 bytes: PhiloxDispatch.params as they are
//   @group(…) @binding(…) var<storage, read_write> out: array<u32>; float32 and int32 values by their bits
// and every PhiloxDispatch of a plan is one dispatch of its `workgroups`, z = 1. Dispatches of one plan write different elements.
//
// The parameters, word by word:
//    0 count       values of the whole draw                      8 segments   how many of the places count
//    1 perThread   value i is made by thread i / perThread       9 outOffset  where the output begins, in words
//    2 windows     invocations for each thread, one for four    10 a          float32 bits: low, loc, keep; integers: low
//                  words (and one for a normal that is owed)    11 b          float32 bits: high - low, scale, 1 / keep; integers: high - low
//    3 unused                                                   12 strict     dropout: 1 keeps u < keep, 0 keeps u <= keep
//    4 key, low word; 5 high word                               16 …          places, four words each, by first thread, ascending:
//    6 firstThread of this dispatch                               x that thread; y and the low half of z: words it has given out; w and the high
//    7 endThread                                                   half of z: how far before that lies the pair whose cosine it owes, or 0
//
// All rounding is done here, in integers: WGSL leaves open how floats are rounded, whether a·b + c is fused and how exact log, sin and sqrt are, and the last
// digits would differ from device to device. Of the float operations left two are exact and one, sqrt, gives a first guess. Numbers below 1.2e-38 become zero.
// Functions are called from few places: drivers inline them all, and compiling takes long on a software adapter. Such an adapter also runs both sides of
// an `if`; what is seldom needed stands in a loop, which it leaves.

// Unsigned 64-bit numbers: x low, y high.
alias Wide = vec2<u32>;

fn multiplyWide(a: u32, b: u32) -> Wide {
  let aLow = a & 0xffffu;
  let aHigh = a >> 16u;
  let bLow = b & 0xffffu;
  let bHigh = b >> 16u;
  let middle = aHigh * bLow + ((aLow * bLow) >> 16u);
  let other = aLow * bHigh + (middle & 0xffffu);
  return Wide(a * b, aHigh * bHigh + (middle >> 16u) + (other >> 16u));
}

fn multiplyHigh(a: u32, b: u32) -> u32 {
  return multiplyWide(a, b).y;
}

fn addWide(a: Wide, b: Wide) -> Wide {
  let low = a.x + b.x;
  return Wide(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn subtractWide(a: Wide, b: Wide) -> Wide {
  return Wide(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}

fn lessWide(a: Wide, b: Wide) -> bool {
  return a.y < b.y || (a.y == b.y && a.x < b.x);
}

fn shiftLeftWide(a: Wide, by: u32) -> Wide {
  if (by == 0u) { return a; }
  if (by >= 32u) { return Wide(0u, a.x << (by - 32u)); }
  return Wide(a.x << by, (a.y << by) | (a.x >> (32u - by)));
}

// Shifts right; where a bit is lost, the last bit left says so, which is all that rounding needs to know.
fn shiftRightSticky(a: Wide, by: u32) -> Wide {
  if (by == 0u) { return a; }
  if (by >= 64u) { return Wide(select(0u, 1u, (a.x | a.y) != 0u), 0u); }
  if (by >= 32u) {
    let lost = a.x | select(0u, a.y << (64u - by), by > 32u);
    return Wide((a.y >> (by - 32u)) | select(0u, 1u, lost != 0u), 0u);
  }
  let lost = a.x << (32u - by);
  return Wide((a.x >> by) | (a.y << (32u - by)) | select(0u, 1u, lost != 0u), a.y >> by);
}

// The float32 nearest to (-1)^sign · a · 2^(exponent - 62), ties to even, by its bits; zero is positive.
fn roundToFloat(sign: u32, exponent: i32, a: Wide) -> u32 {
  if ((a.x | a.y) == 0u) { return 0u; }
  // the leading one to bit 62
  var value = a;
  var power = exponent;
  if (a.y >= 0x80000000u) {
    value = shiftRightSticky(a, 1u);
    power += 1;
  } else {
    let left = select(31u + countLeadingZeros(a.x), countLeadingZeros(a.y) - 1u, a.y != 0u);
    value = shiftLeftWide(a, left);
    power -= i32(left);
  }
  var significand = value.y >> 7u;
  let rest = value.y & 127u;
  if (rest > 64u || (rest == 64u && (value.x != 0u || (significand & 1u) == 1u))) { significand += 1u; }
  let biased = power + 127;
  if (biased <= 0) { return 0u; }
  if (biased >= 255) { return (sign << 31u) | 0x7f800000u; }
  // a significand rounded up to 2^24 carries into the exponent by itself
  return (sign << 31u) | ((u32(biased) << 23u) + (significand - 0x800000u));
}

// a · b + c of float32 bits, rounded once.
fn fusedMultiplyAdd(a: u32, b: u32, c: u32) -> u32 {
  let aExponent = i32((a >> 23u) & 255u);
  let bExponent = i32((b >> 23u) & 255u);
  let cExponent = i32((c >> 23u) & 255u);
  // Both with bit 62 standing for 2^exponent; the product's leading one is there or one below.
  var large = shiftLeftWide(multiplyWide((a & 0x7fffffu) | 0x800000u, (b & 0x7fffffu) | 0x800000u), 15u);
  var exponent = aExponent + bExponent - 253;
  var sign = (a ^ b) >> 31u;
  var small = Wide(0u, ((c & 0x7fffffu) | 0x800000u) << 7u);
  var distance = exponent - (cExponent - 127);
  var otherSign = c >> 31u;
  if (aExponent == 0 || bExponent == 0) {
    large = Wide();
    distance = -1;
  }
  if (cExponent == 0) {
    small = Wide();
    distance = 0;
  }
  if (distance < 0) {
    let held = large;
    large = small;
    small = held;
    exponent = cExponent - 127;
    otherSign = sign;
    sign = c >> 31u;
  }
  small = shiftRightSticky(small, u32(abs(distance)));
  if (sign == otherSign) {
    large = addWide(large, small);
  } else if (lessWide(large, small)) {
    large = subtractWide(small, large);
    sign = otherSign;
  } else {
    large = subtractWide(large, small);
  }
  return roundToFloat(sign, exponent, large);
}

// The float32 nearest to an integer.
fn toFloat(word: u32) -> u32 {
  return roundToFloat(0u, 62, Wide(word, 0u));
}

// Philox4x32-10: word 0 and 1 of the counter count blocks of four words, words 2 and 3 are the thread.
fn philox(block: Wide, thread: u32) -> vec4<u32> {
  var counter = vec4<u32>(block.x, block.y, thread, 0u);
  var key = params.v[1].xy;
  for (var round = 0u; round < 10u; round++) {
    let first = multiplyWide(0xd2511f53u, counter.x);
    let second = multiplyWide(0xcd9e8d57u, counter.z);
    counter = vec4<u32>(second.y ^ counter.y ^ key.x, second.x, first.y ^ counter.w ^ key.y, first.x);
    key += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
  }
  return counter;
}

// a / 2^by to the nearest integer, ties to even.
fn shiftRightNearest(a: u32, by: u32) -> u32 {
  if (by == 0u) { return a; }
  let half = 1u << (by - 1u);
  let whole = a >> by;
  let rest = a & (2u * half - 1u);
  return whole + select(0u, 1u, rest > half || (rest == half && (whole & 1u) == 1u));
}

// u · 2^24 for u = 1 - (r · 2^-32 + 2^-33) in float32: an integer from 0 to 2^24.
fn uniform24(word: u32) -> u32 {
  // r to 24 bits; the 2^-33 only counts where r has 24 bits or fewer
  let drop = 8u - min(8u, countLeadingZeros(word));
  let top = shiftRightNearest(word, drop);
  if (word < 0x800000u) {
    // r + 1/2 is exact, and never halfway between multiples of 256
    return 0x1000000u - ((word + 128u) >> 8u);
  }
  // with 24 bits, r + 1/2 needs 25: to the even neighbour
  let even = top + select(0u, word & 1u, drop == 0u);
  return 0x1000000u - shiftRightNearest(even, 8u - drop);
}

// That integer as the float32 u; both steps are exact.
fn uniformOf(word: u32) -> f32 {
  return f32(uniform24(word)) * 5.9604644775390625e-8;
}

// sin(π/2 · r / 2^30) for 0 <= r <= 2^30, cut to 23 bits: a polynomial in the square, fitted on [0, 1], coefficients scaled by 2^31.
fn sineOfQuarter(r: u32) -> u32 {
  if (r == 0x40000000u) { return 0x800000u; }
  let x = r << 2u;
  let y = multiplyHigh(x, x);
  var sum = 0x00054051u - multiplyHigh(y, 0x00001ccau);
  sum = 0x00996898u - multiplyHigh(y, sum);
  sum = 0x0a335e03u - multiplyHigh(y, sum);
  sum = 0x52aef394u - multiplyHigh(y, sum);
  sum = 0xc90fdaa2u - multiplyHigh(y, sum);
  return multiplyHigh(x, sum) >> 8u;
}

// One step of the logarithm's polynomial: alternating above 1, all of one sign below.
fn logStep(coefficient: u32, distance: u32, sum: u32, below: bool) -> u32 {
  let term = multiplyHigh(distance, sum);
  return select(coefficient - term, coefficient + term, below);
}

// sqrt(-2 · ln u) for the bits of u in [2^-33, 1]: significand in 24 bits and exponent, radius = x · 2^y; x = 0 for u = 1.
fn boxMullerRadius(u: u32) -> vec2<i32> {
  // u = m · 2^-k, m in (√½, √2]; d = |m - 1| · 2^32
  let significand = (u & 0x7fffffu) | 0x800000u;
  var k = 127u - (u >> 23u);
  let below = significand > 0xb504f3u;
  var d = (significand - 0x800000u) << 9u;
  if (below) {
    d = (0x1000000u - significand) << 8u;
    k -= 1u;
  }
  // ln(m) / (m - 1), coefficients scaled by 2^31
  var sum = 0x070eb1feu;
  sum = logStep(0x0cd03c26u, d, sum, below);
  sum = logStep(0x0cd1229bu, d, sum, below);
  sum = logStep(0x0caab6deu, d, sum, below);
  sum = logStep(0x0e1604c4u, d, sum, below);
  sum = logStep(0x0ffff9d7u, d, sum, below);
  sum = logStep(0x124aeb5fu, d, sum, below);
  sum = logStep(0x15556432u, d, sum, below);
  sum = logStep(0x19998f19u, d, sum, below);
  sum = logStep(0x1fffffa6u, d, sum, below);
  sum = logStep(0x2aaaaac2u, d, sum, below);
  sum = logStep(0x40000000u, d, sum, below);
  sum = logStep(0x80000000u, d, sum, below);
  // -ln u = k · ln 2 ∓ d · sum, scaled by 2^48
  let part = multiplyWide(d, sum);
  let log = Wide((part.x >> 15u) | (part.y << 17u), part.y >> 15u);
  let whole = addWide(multiplyWide(k, 0x17f7d1cfu), Wide(0u, k * 0xb172u));
  let total = select(subtractWide(whole, log), addWide(whole, log), below);
  let bits = roundToFloat(0u, 15, total);
  if (bits == 0u) { return vec2<i32>(0, 0); }

  // the root of n = m · 2^23 or m · 2^24, in whichever the power of two left over is even: first guessed, then put right
  let m = (bits & 0x7fffffu) | 0x800000u;
  let power = i32(bits >> 23u) - 150;
  let odd = (power & 1) != 0;
  let n = shiftLeftWide(Wide(m, 0u), select(24u, 23u, odd));
  var root = u32(sqrt(f32(m) * select(1.0, 0.5, odd)) * 4096.0);
  for (var step = 0u; step < 16u && !lessWide(multiplyWide(root, root - 1u), n); step++) { root -= 1u; }
  for (var step = 0u; step < 16u && lessWide(multiplyWide(root, root + 1u), n); step++) { root += 1u; }
  return vec2<i32>(i32(root), (power - select(24, 23, odd)) / 2);
}

// Two standard normals of two words by Box and Muller: x with the sine, y with the cosine.
fn normalsOf(pair: vec2<u32>) -> vec2<u32> {
  // (word + 1/2) / 2^32, of 1 and of 2π radians
  var unit = vec2<u32>(0x2f800000u, 0x30c90fdbu);
  for (var w = 0u; w < 2u; w++) { unit[w] = fusedMultiplyAdd(toFloat(pair[w]), unit[w], unit[w] - 0x800000u); }
  let radius = boxMullerRadius(unit.x);
  // the angle in turns cut to 24 bits, then scaled by 2^32
  let angle = unit.y;
  let turns = multiplyWide((angle & 0x7fffffu) | 0x800000u, 0xa2f983u);
  let long = (turns.y & 0x8000u) != 0u;
  let cut = select((turns.y << 9u) | (turns.x >> 23u), (turns.y << 8u) | (turns.x >> 24u), long);
  let shift = i32(angle >> 23u) - select(121, 120, long);
  let phase = select(cut >> u32(min(-shift, 31)), cut << u32(max(shift, 0)), shift >= 0);

  let quarter = phase >> 30u;
  let r = phase & 0x3fffffffu;
  var normals = vec2<u32>();
  for (var w = 0u; w < 2u; w++) {
    // in quarters 0 1 2 3 the sine goes as sine(r), sine(1 - r), -sine(r), -sine(1 - r), and the cosine a quarter ahead
    let ahead = quarter + w;
    let wave = sineOfQuarter(select(r, 0x40000000u - r, (ahead & 1u) == 1u));
    normals[w] = roundToFloat((ahead >> 1u) & 1u, radius.y - 23 + 62, multiplyWide(u32(radius.x), wave));
  }
  return normals;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
  let perThread = params.v[0].y;
  let windows = params.v[0].z;
  let segments = params.v[2].x;
  let a = params.v[2].z;
  let b = params.v[2].w;

  let invocation = id.x + id.y * workgroups.x * WORKGROUP_SIZE;
  let thread = params.v[1].z + invocation / windows;
  if (thread >= params.v[1].w) { return; }
  var place = params.v[4];
  for (var s = 1u; s < segments; s++) {
    if (params.v[4u + s].x <= thread) { place = params.v[4u + s]; }
  }

  // Four words from `first` on make the thread's values from `begin` on.
  let window = invocation % windows;
  var first = addWide(Wide(place.y, place.z & 0xffffu), Wide(4u * window, 0u));
  var begin = select(4u, 2u, KIND == 2u) * window;
  let back = Wide(place.w, place.z >> 16u);
  let owed = KIND == 1u && any(back != Wide());
  if (owed) {
    // window 0 is the pair whose sine was given out: its cosine is value 0
    first = subtractWide(first, select(Wide(4u, 0u), back, window == 0u));
    begin -= 3u - select(0u, 2u, window == 0u);
  }
  var words = vec4<u32>();
  let lane = first.x & 3u;
  for (var n = 0u; n < select(2u, 1u, lane == 0u); n++) {
    let position = addWide(first, Wide(4u * n, 0u));
    let made = philox(Wide((position.x >> 2u) | (position.y << 30u), position.y >> 2u), thread);
    if (n == 0u) {
      words = select(select(select(made, made.yzww, lane == 1u), made.zwww, lane == 2u), made.wwww, lane == 3u);
    } else {
      words.w = select(select(made.z, made.y, lane == 2u), made.x, lane == 1u);
      words.z = select(select(words.z, made.x, lane == 2u), made.y, lane == 3u);
      words.y = select(words.y, made.x, lane == 3u);
    }
  }

  if (KIND == 1u) {
    var pairs = words;
    for (var p = 0u; p < 4u; p += 2u) {
      let normals = normalsOf(vec2<u32>(pairs[p], pairs[p + 1u]));
      words[p] = normals.x;
      words[p + 1u] = normals.y;
    }
  }
  for (var w = 0u; w < select(4u, 2u, KIND == 2u); w++) {
    // a value of index -1 is the sine given out before
    let i = begin + w;
    let at = thread * perThread + i;
    if (i >= perThread || at >= params.v[0].x || (owed && window == 0u && w > 1u)) { continue; }
    var value = words[w];
    if (KIND == 2u) {
      // ((r₁ << 31) mod 2^32 + r₂) mod b, where the sum may need 33 bits
      let x = (words[2u * w] << 31u) % b;
      let y = words[2u * w + 1u] % b;
      value = a + select(x + y, x - (b - y), x >= b - y);
    } else if (KIND == 3u) {
      let u = uniformOf(value);
      let keep = bitcast<f32>(a);
      value = select(0u, b, u < keep || (u == keep && params.v[3].x == 0u));
    } else {
      if (KIND == 0u) { value = bitcast<u32>(uniformOf(value)); }
      if (SCALED) { value = fusedMultiplyAdd(value, b, a); }
    }
    out[params.v[2].y + at] = value;
  }
}
