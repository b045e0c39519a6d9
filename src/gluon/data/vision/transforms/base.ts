// What transforms of pictures share. A picture is (H, W, C), several are (N, H, W, C), each with chances of its own. ToTensor, Normalize and Cast are operations like any
// other, on every device and under a recorder; the rest are loops over host memory, on the CPU where pictures come in.
import { bodyOf, type NDArray } from '../../../../array/ndarray.ts';
import { ShapeError } from '../../../../core/errors.ts';
import { shapeText } from '../../../../core/shape.ts';
import { checkPixelType, fromHost, type HostArray, layoutOf, toHost } from '../../../../nd/image/host.ts';
import { Block } from '../../../block.ts';
import type { BlockRole } from '../../../state.ts';
import { HOST, type HostForm } from '../../batch.ts';
import { type Chance, currentPlace } from '../../chance.ts';
import { unlessChanged } from '../../hostForm.ts';
import { chanceOf } from '../../stream.ts';

/** A transform in loops over host memory. */
export abstract class PictureTransform extends Block {
  static override readonly kind: string = 'PictureTransform';
  static override readonly role: BlockRole = 'layer';

  /** @internal What pictures (H, W, C) or (N, H, W, C) become. */
  protected abstract change(x: HostArray, chance: (place: number) => Chance, op: string): HostArray;

  #checked(x: HostArray, chance: (place: number) => Chance): HostArray {
    const op = (this.constructor as typeof PictureTransform).kind;
    const { height, width } = layoutOf(x.shape, op);
    checkPixelType(x.dtype, op);
    if (height === 0 || width === 0)
      throw new ShapeError(
        `expected pictures with pixels, received ${shapeText(x.shape)}. Check the source.`,
        {
          op,
        },
      );
    return this.change(x, chance, op);
  }

  /** The pictures transformed, on the CPU. */
  override forward(x: NDArray): NDArray {
    const op = (this.constructor as typeof PictureTransform).kind;
    const { context } = x;
    bodyOf(x, op);
    return fromHost(
      this.#checked(toHost(x, op), () => chanceOf(currentPlace())),
      context,
      op,
    );
  }

  /** @internal */
  [HOST](): HostForm | undefined {
    return unlessChanged(this, PictureTransform.prototype, (x, places) =>
      this.#checked(x, (n) => chanceOf(places[n])),
    );
  }
}

/** One picture of several. */
function pictureAt(x: HostArray, n: number): HostArray {
  if (x.shape.length === 3) return x;
  const size = x.values.length / Math.max(1, x.shape[0] as number);
  return { values: x.values.subarray(n * size, (n + 1) * size), dtype: x.dtype, shape: x.shape.slice(1) };
}

/** Applies `change` to each picture by itself, with its own chance; all become of one size. */
export function eachPicture(
  x: HostArray,
  chance: (place: number) => Chance,
  change: (picture: HostArray, chance: Chance) => HostArray,
): HostArray {
  if (x.shape.length === 3) return change(x, chance(0));
  const count = x.shape[0] as number;
  if (count === 0) return x;
  let all: HostArray | undefined;
  for (let n = 0; n < count; n++) {
    const y = change(pictureAt(x, n), chance(n));
    all ??= {
      values: new (y.values.constructor as new (n: number) => HostArray['values'])(y.values.length * count),
      dtype: y.dtype,
      shape: [count, ...y.shape],
    };
    all.values.set(y.values, n * y.values.length);
  }
  return all as HostArray;
}
