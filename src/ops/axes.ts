// An array seen as (outer, length, inner) around the axes that are reduced. Pure arithmetic over shapes.
import { asShape, type Shape, sizeOf, sizeWithin } from '../core/shape.ts';

/** [outer, length, inner] of one axis. */
export function rowsOf(shape: readonly number[], axis: number): readonly [number, number, number] {
  return [sizeWithin(shape, 0, axis), shape[axis] as number, sizeWithin(shape, axis + 1)];
}

/** How a row kernel reads an input: as an array of that shape, one element for each row, or one for each place along the axis. */
export type RowInput = 'whole' | 'rows' | 'vector';

/** What a row kernel along one axis is told. */
export function rowDims(shape: readonly number[], axis: number, inputs: readonly RowInput[]): number[] {
  const [outer, length, inner] = rowsOf(shape, axis);
  const dims = [outer, length, inner];
  for (const how of inputs)
    if (how === 'whole') dims.push(length * inner, inner, 1);
    else if (how === 'rows') dims.push(inner, 0, 1);
    else dims.push(0, 1, 0);
  return dims;
}

/** Neighbouring axes as one: [outer, length, inner] for each run of reduced axes, the innermost run first. */
export function reduceGroups(shape: readonly number[], axes: readonly number[]): [number, number, number][] {
  const groups: [number, number, number][] = [];
  const left = shape.slice();
  let end = shape.length;
  while (end > 0) {
    if (!axes.includes(end - 1)) {
      end--;
      continue;
    }
    let begin = end;
    while (begin > 0 && axes.includes(begin - 1)) begin--;
    groups.push([sizeWithin(left, 0, begin), sizeWithin(left, begin, end), sizeWithin(left, end)]);
    left.fill(1, begin, end);
    end = begin;
  }
  // nothing to reduce: every element is its own row
  return groups.length > 0 ? groups : [[sizeOf(shape), 1, 1]];
}

/** The shape after reducing; all axes gone leave Gluon's `[1]`. */
export function reducedShape(shape: readonly number[], axes: readonly number[], keepdims: boolean): Shape {
  if (keepdims) return asShape(shape.map((d, i) => (axes.includes(i) ? 1 : d)));
  const left = shape.filter((_, i) => !axes.includes(i));
  return asShape(left.length === 0 ? [1] : left);
}
