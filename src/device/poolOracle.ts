// Gradients of pooling as plain loops, written from the lines of ir/kernel.ts: what both devices' tests compare with.

interface Window {
  /** Places of its elements in x, in the order of memory. */
  readonly places: readonly number[];
  /** How many elements it has with padding counted. */
  readonly padded: number;
}

/** All windows, in the order of the outputs. `dims` as the kernels have them. */
function windowsOf(dims: readonly number[]): Window[] {
  const three = (at: number): readonly [number, number, number] =>
    dims.slice(at, at + 3) as unknown as [number, number, number];
  const [i, o, k, s, p] = [three(1), three(4), three(7), three(10), three(13)];
  const windows: Window[] = [];
  for (let plane = 0; plane < (dims[0] as number); plane++)
    for (let at = 0; at < o[0] * o[1] * o[2]; at++) {
      const out = [Math.floor(at / (o[1] * o[2])), Math.floor(at / o[2]) % o[1], at % o[2]];
      const places: number[] = [];
      let padded = 0;
      for (let e = 0; e < k[0] * k[1] * k[2]; e++) {
        const offset = [Math.floor(e / (k[1] * k[2])), Math.floor(e / k[2]) % k[1], e % k[2]];
        const c = [0, 1, 2].map(
          (a) => (out[a] as number) * (s[a] as number) - (p[a] as number) + (offset[a] as number),
        ) as [number, number, number];
        if (c.every((v, a) => v < (i[a] as number) + (p[a] as number))) padded++;
        if (c.every((v, a) => v >= 0 && v < (i[a] as number)))
          places.push(((plane * i[0] + c[0]) * i[1] + c[1]) * i[2] + c[2]);
      }
      windows.push({ places, padded });
    }
  return windows;
}

function firstGreatest({ places }: Window, x: readonly number[]): number {
  let best = -1;
  for (const place of places) {
    const [v, most] = [x[place] as number, best < 0 ? Number.NEGATIVE_INFINITY : (x[best] as number)];
    if (best < 0 || v > most || (Number.isNaN(v) && !Number.isNaN(most))) best = place;
  }
  return best;
}

/** `poolMaxGrad`: what each element of x gets from the windows it wins. */
export function maxGradOracle(x: readonly number[], g: readonly number[], dims: readonly number[]): number[] {
  const dx = x.map(() => 0);
  windowsOf(dims).forEach((w, at) => {
    const place = firstGreatest(w, x);
    if (place >= 0) dx[place] = (dx[place] as number) + (g[at] as number);
  });
  return dx;
}

/** `poolMaxPick`: what stands in g where each window is greatest. */
export function maxPickOracle(x: readonly number[], g: readonly number[], dims: readonly number[]): number[] {
  return windowsOf(dims).map((w) => g[firstGreatest(w, x)] ?? 0);
}

/** `poolAvgGrad` and `poolSumGrad`: what each of `count` elements gets from the windows that hold it. */
export function spreadOracle(
  g: readonly number[],
  count: number,
  dims: readonly number[],
  average: boolean,
): number[] {
  const dx = new Array<number>(count).fill(0);
  windowsOf(dims).forEach(({ places, padded }, at) => {
    const by = average ? (dims[16] === 1 ? padded : places.length) : 1;
    for (const place of places) dx[place] = (dx[place] as number) + (g[at] as number) / by;
  });
  return dx;
}
