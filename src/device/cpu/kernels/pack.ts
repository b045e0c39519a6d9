// Packs a strip of an operand of the tiled product (AssemblyScript): what stands at the places that tables tell (product.ts) goes side by side, depth by depth.

/** Columns of a strip, and places for rows of the other. */
export const NR = 8;

// @ts-expect-error: decorator
@inline
export function entry(table: usize, i: i32): usize {
  return load<u32>(table + (<usize>i << 2));
}

/** Whether the four offsets at `table` are those of neighbours. */
// @ts-expect-error: decorator
@inline
export function four(table: usize): bool {
  const t = v128.load(table);
  return i32x4.all_true(i32x4.eq(i32x4.sub(t, i32x4.splat(load<i32>(table))), i32x4(0, 4, 8, 12)));
}

/** How far the four offsets at `table` are from being neighbours of the one `lane` places before. */
// @ts-expect-error: decorator
@inline
function jumps(table: usize, first: i32, lane: i32): v128 {
  return i32x4.sub(v128.load(table), i32x4.add(i32x4.splat(first + lane), i32x4(0, 4, 8, 12)));
}

/** Whether the eight offsets at `table` are those of one run of neighbours, or of two. */
// @ts-expect-error: decorator
@inline
function twoRuns(table: usize): bool {
  const first = load<i32>(table);
  const low = jumps(table, first, 0);
  const high = jumps(table + 16, first, 16);
  const jump = i32x4.splat(load<i32>(table, 28) - first - 28);
  const zero = i32x4.splat(0);
  return (
    i32x4.all_true(v128.or(i32x4.eq(low, zero), i32x4.eq(low, jump))) &&
    i32x4.all_true(v128.or(i32x4.eq(high, zero), i32x4.eq(high, jump)))
  );
}

/** Packs `count` columns of B, or rows of A: their offsets and the depth's begin at `columns` and `table`. */
export function pack(b: usize, columns: usize, table: usize, count: i32, depth: i32, to: usize): void {
  const p0 = b + entry(columns, 0);
  const p1 = b + entry(columns, min(1, count - 1));
  const p2 = b + entry(columns, min(2, count - 1));
  const p3 = b + entry(columns, min(3, count - 1));
  const p4 = b + entry(columns, min(4, count - 1));
  const p5 = b + entry(columns, min(5, count - 1));
  const p6 = b + entry(columns, min(6, count - 1));
  const p7 = b + entry(columns, min(7, count - 1));
  const end = to + <usize>(depth * NR * 4);
  if (count == NR && four(columns) && four(columns + 16)) {
    for (; to < end; to += NR * 4, table += 4) {
      const o = load<u32>(table);
      v128.store(to, v128.load(p0 + o));
      v128.store(to, v128.load(p4 + o), 16);
    }
    return;
  }
  if (count == NR && twoRuns(columns)) {
    const far = p7 - 28;
    const mask0 = i32x4.ne(jumps(columns, entry(columns, 0), 0), i32x4.splat(0));
    const mask1 = i32x4.ne(jumps(columns + 16, entry(columns, 0), 16), i32x4.splat(0));
    for (; to < end; to += NR * 4, table += 4) {
      const o = load<u32>(table);
      v128.store(to, v128.bitselect(v128.load(far + o), v128.load(p0 + o), mask0));
      v128.store(to, v128.bitselect(v128.load(far + o, 16), v128.load(p0 + o, 16), mask1), 16);
    }
    return;
  }
  let k = 0;
  for (; k + 4 <= depth; k += 4, table += 16) {
    if (!four(table)) {
      for (let q = 0; q < 4; q++, to += NR * 4)
        one8(to, load<u32>(table + (<usize>q << 2)), p0, p1, p2, p3, p4, p5, p6, p7);
      continue;
    }
    const o = load<u32>(table);
    transpose4(to, v128.load(p0 + o), v128.load(p1 + o), v128.load(p2 + o), v128.load(p3 + o));
    transpose4(to + 16, v128.load(p4 + o), v128.load(p5 + o), v128.load(p6 + o), v128.load(p7 + o));
    to += NR * 16;
  }
  for (; k < depth; k++, to += NR * 4, table += 4) one8(to, load<u32>(table), p0, p1, p2, p3, p4, p5, p6, p7);
}

// @ts-expect-error: decorator
@inline
function transpose4(to: usize, x0: v128, x1: v128, x2: v128, x3: v128): void {
  const l01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
  const h01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
  const l23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
  const h23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f32>(l01, l23, 0, 1, 4, 5));
  v128.store(to, v128.shuffle<f32>(l01, l23, 2, 3, 6, 7), 32);
  v128.store(to, v128.shuffle<f32>(h01, h23, 0, 1, 4, 5), 64);
  v128.store(to, v128.shuffle<f32>(h01, h23, 2, 3, 6, 7), 96);
}

// @ts-expect-error: decorator
@inline
function one8(
  to: usize,
  o: usize,
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  p4: usize,
  p5: usize,
  p6: usize,
  p7: usize,
): void {
  store<u32>(to, load<u32>(p0 + o));
  store<u32>(to, load<u32>(p1 + o), 4);
  store<u32>(to, load<u32>(p2 + o), 8);
  store<u32>(to, load<u32>(p3 + o), 12);
  store<u32>(to, load<u32>(p4 + o), 16);
  store<u32>(to, load<u32>(p5 + o), 20);
  store<u32>(to, load<u32>(p6 + o), 24);
  store<u32>(to, load<u32>(p7 + o), 28);
}
