// The step of all sums of products (AssemblyScript).

/**
 * a·b + c, with one rounding where the machine has such an instruction. What stands here is a mark: wasm/load.ts puts the product and the sum in the place of two
 * instructions that nothing else uses, or nothing and the fused one, which takes its three operands in the same order.
 */
// @ts-expect-error: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  return f64x2.pmax(f64x2.pmin(a, b), c);
}
