// What all layers of the library share in type: arrays in, one array out, the parameters Gluon's layers have, children by number.
import type { NDArray } from '../../array/ndarray.ts';
import { ArgumentError, ShapeError } from '../../core/errors.ts';
import { describe, shapeText } from '../../core/shape.ts';
import { type Block, type BlockOptions, HybridBlock } from '../block.ts';
import type { Parameter } from '../parameter.ts';
import type { BlockRole } from '../state.ts';

/** The numbers 0 to N − 1. */
type Below<N extends number, List extends unknown[] = []> = List['length'] extends N
  ? Exclude<Partial<List>['length'], N>
  : Below<N, [...List, unknown]>;

/** Children by number: a literal below 256 is taken to exist, as one knows one's own net. */
type Children = { [K in Below<256>]: Layer } & { [index: number]: Layer };

export interface Layer extends Children {}

/**
 * A block from arrays to one array. The parameters that Gluon's layers have are typed as present, so that `net[0].weight.data()` needs no check;
 * one that a layer lacks is undefined.
 */
export abstract class Layer extends HybridBlock {
  static override readonly kind: string = 'Layer';
  static override readonly role: BlockRole = 'layer';
  declare weight: Parameter;
  declare bias: Parameter;
  declare gamma: Parameter;
  declare beta: Parameter;
  declare runningMean: Parameter;
  declare runningVar: Parameter;

  abstract override forward(...inputs: NDArray[]): NDArray;

  /** @internal MXNet's names in files. */
  override fileName(field: string): string {
    return field === 'runningMean' ? 'running_mean' : field === 'runningVar' ? 'running_var' : field;
  }
}

/** A block that can stand in a chain: from one array to one array. */
export type ChainBlock = Block & { forward(x: NDArray): NDArray };

/** The options of every block, out of all that a constructor was given. */
export function blockOptions(values: Readonly<Record<string, unknown>>): BlockOptions {
  return {
    prefix: values['prefix'] as BlockOptions['prefix'],
    params: values['params'] as BlockOptions['params'],
  };
}

/** Names of the options that every block takes. */
export const BLOCK_OPTIONS = ['prefix', 'params'] as const;

/** The axes of images: N, C, and so many spatial ones. */
function axesOf(ndim: number): readonly string[] {
  return ['N', 'C', ...['D', 'H', 'W'].slice(3 - ndim)];
}

/** Refuses every layout but one: channels first. */
export function checkLayout(op: string, given: unknown, ndim: number): void {
  const layout = axesOf(ndim).join('');
  if (given === undefined || given === layout) return;
  throw new ArgumentError(
    `expected layout '${layout}', the only one here, received ${describe(given)}. Transpose the input to channels first.`,
    { op },
  );
}

/** Refuses inputs with other axes, and gives the names of these. */
export function checkAxes(op: string, shape: readonly number[], ndim: number): readonly string[] {
  const axes = axesOf(ndim);
  if (shape.length === axes.length) return axes;
  throw new ShapeError(
    `expected input of shape (${axes.join(', ')}), received ${shapeText(shape)}. ` +
      (shape.length === axes.length - 1
        ? 'Add the axis that is missing: x.expandDims(0) for one sample, x.expandDims(1) for one channel.'
        : 'Reshape it first.'),
    { op },
  );
}
