// Between float16 and float32 (AssemblyScript), four numbers at a time. Addresses in bytes; counts are multiples of four: what is left over is JavaScript's.
// Worked out from IEEE 754's formats: a float16's bits 13 to the left are a float32's with an exponent too small by 112.

/** float32 from float16. NaN keeps its sign and payload. */
export function fromHalves(n: i32, o: usize, a: usize): void {
  for (const end = o + (<usize>n << 2); o < end; o += 16, a += 8) {
    const small = v128.and(i32x4.shl(v128.load16x4_s(a), 13), i32x4.splat(0x8fffe000));
    // exact, subnormal numbers too
    const x = f32x4.mul(small, f32x4.splat(reinterpret<f32>(0x77800000)));
    // an exponent of 31 stands for ∞ and NaN
    const top = v128.and(f32x4.ge(f32x4.abs(x), f32x4.splat(65536)), i32x4.splat(0x7f800000));
    v128.store(o, v128.or(x, top));
  }
}

/** float16 from float32, rounded to nearest, ties to even; NaN is a quiet one of its sign. */
export function toHalves(n: i32, o: usize, a: usize): void {
  for (const end = o + (<usize>n << 1); o < end; o += 8, a += 16) {
    const x = v128.load(a);
    // 65536 and more is ∞
    const size = i32x4.min_u(f32x4.abs(x), i32x4.splat(0x47800000));
    // the power of two whose last place is the result's: the addition rounds. Numbers below 2⁻¹⁴ have the last place of 0.5, 2⁻²⁴
    const power = i32x4.max_u(
      i32x4.add(v128.and(size, i32x4.splat(0x7f800000)), i32x4.splat(13 << 23)),
      i32x4.splat(0x3f000000),
    );
    const places = i32x4.sub(f32x4.add(size, power), power);
    const exponent = i32x4.shr_u(i32x4.sub(power, i32x4.splat(0x3f000000)), 13);
    const quiet = v128.and(f32x4.ne(x, x), i32x4.splat(0x200));
    const sign = v128.and(i32x4.shr_u(x, 16), i32x4.splat(0x8000));
    const bits = v128.or(v128.or(i32x4.add(places, exponent), quiet), sign);
    v128.store64_lane(o, i16x8.narrow_i32x4_u(bits, bits), 0);
  }
}
