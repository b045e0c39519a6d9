// Dropout: a draw from the device's own generator, and one elementwise kernel that keeps or drops. The draw is what backward reads again.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { dropoutKeep } from '../core/random/mxnetCpu.ts';
import { asShape, normalizeAxes } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import { composed } from './composed.ts';
import { drawUniform } from './creation.ts';
import { elementwiseOp, requireFloat } from './elementwise.ts';
import { invoke } from './invoke.ts';

// over the draw u and x, with keep = 1 − rate and 1 / keep in float32: MXNet keeps u ≤ keep, and u < keep where axes share the draw
const kept = e.mul(e.input(1), e.scalar(1));
const each = elementwiseOp('dropout', 2, e.select(e.le(e.input(0), e.scalar(0)), kept, 0), {
  family: 'random',
  condition: true,
});
const shared = elementwiseOp('dropoutShared', 2, e.select(e.lt(e.input(0), e.scalar(0)), kept, 0), {
  family: 'random',
  condition: true,
});

/**
 * Sets a share `rate` of the elements to 0 and divides the others by 1 − rate, whatever the mode. Along `axes` one draw serves all. Srivastava et al., 2014.
 * @throws ArgumentError for a rate outside [0, 1)
 */
export function drop(x: NDArray, rate: number, axes: readonly number[] = []): NDArray {
  const { shape, dtype } = bodyOf(x, 'dropout');
  requireFloat('dropout', { shape, dtype });
  const scalars = dropoutKeep(rate);
  const common = axes.length === 0 ? [] : normalizeAxes(axes, shape.length, 'dropout');
  const drawn = asShape(shape.map((d, i) => (common.includes(i) ? 1 : d)));
  return composed(() =>
    invoke(common.length === 0 ? each : shared, [drawUniform(0, 1, drawn, 'float32', x.context), x], {
      scalars,
    }),
  );
}
