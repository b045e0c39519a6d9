// The numbers everything is measured on.

/** Uniform float32 values in [low, high): mulberry32, the same everywhere. Random data, never zeros: zeros flatter kernels and hide wrong ones. */
export function numbers(seed, size, low = -1, high = 1) {
  const out = new Float32Array(size);
  let a = seed >>> 0;
  for (let i = 0; i < size; i++) {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    out[i] = low + ((high - low) * ((t ^ (t >>> 14)) >>> 0)) / 4294967296;
  }
  return out;
}
