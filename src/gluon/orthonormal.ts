// Orthonormal rows or columns out of a matrix with independent ones: modified Gram–Schmidt, twice over, which keeps them orthogonal to
// rounding ("twice is enough", Giraud et al., 2005).

/**
 * @param values a (rows, columns) matrix, row-major
 * @returns a matrix of the same shape with orthonormal rows where rows ≤ columns, else orthonormal columns, times `scale`
 */
export function orthonormal(
  values: Float32Array,
  rows: number,
  columns: number,
  scale: number,
): Float32Array<ArrayBuffer> {
  // the vectors to be made orthonormal: the rows, or the columns of a tall matrix
  const tall = rows > columns;
  const [count, length] = tall ? [columns, rows] : [rows, columns];
  const place = (v: number, i: number): number => (tall ? i * columns + v : v * columns + i);
  const vectors = Array.from({ length: count }, (_, v) =>
    Float64Array.from({ length }, (_, i) => values[place(v, i)] as number),
  );
  vectors.forEach((vector, v) => {
    for (let pass = 0; pass < 2; pass++)
      for (let u = 0; u < v; u++) {
        const other = vectors[u] as Float64Array;
        let along = 0;
        for (let i = 0; i < length; i++) along += (vector[i] as number) * (other[i] as number);
        for (let i = 0; i < length; i++) vector[i] = (vector[i] as number) - along * (other[i] as number);
      }
    let square = 0;
    for (const x of vector) square += x * x;
    const norm = Math.sqrt(square);
    for (let i = 0; i < length; i++) vector[i] = (vector[i] as number) / norm;
  });
  const out = new Float32Array(rows * columns);
  vectors.forEach((vector, v) => {
    for (let i = 0; i < length; i++) out[place(v, i)] = scale * (vector[i] as number);
  });
  return out;
}
