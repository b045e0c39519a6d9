// The bytes of MNIST's and CIFAR's files, as pure functions: checked from the first byte to the last.
//
// IDX (Yann LeCun's page of MNIST): 0, 0, type, number of axes; the extents as big-endian 32-bit integers; the values. Type 8 is unsigned bytes.
// CIFAR-10's binary form (Alex Krizhevsky's page): records of 1 label and 3·32·32 values, red, green and blue plane after plane.
import { FormatError } from '../../../core/errors.ts';
import { firstBytes, foreignFile } from '../../../formats/signature.ts';

/** Labels and pictures of one file or several. */
export interface Pictures {
  readonly images: Uint8Array<ArrayBuffer>;
  readonly labels: Int32Array<ArrayBuffer>;
}

const GET_AGAIN = 'Get the file again.';

/** The values of an IDX file of unsigned bytes, and their extents; `shape` says what the extents after the first must be. */
function parseIdx(
  bytes: Uint8Array<ArrayBuffer>,
  shape: readonly number[],
  what: string,
  op: string,
): { readonly count: number; readonly values: Uint8Array<ArrayBuffer> } {
  const axes = shape.length + 1;
  const magic = 0x800 + axes;
  const header = 4 + 4 * axes;
  const kind = (n: number): string =>
    n === 0x801 ? 'labels' : n === 0x803 ? 'images' : 'another kind of values';
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found = bytes.length >= 4 ? view.getUint32(0) : undefined;
  if (found !== magic) {
    const foreign = foreignFile(bytes);
    const isIdx = found !== undefined && found >>> 8 === 8;
    throw new FormatError(
      `expected ${what} to be an IDX file of ${kind(magic)} (magic 0x${magic.toString(16).padStart(8, '0')}), received ${
        isIdx
          ? `one of ${kind(found)} (0x${found.toString(16).padStart(8, '0')})`
          : (foreign?.what ?? firstBytes(bytes))
      }. ${isIdx ? 'Images and labels may be swapped.' : bytes.length < 4 ? 'It is cut off: get it again.' : 'Look at the address or the file.'}`,
      { op },
    );
  }
  if (bytes.length < header)
    throw new FormatError(
      `expected ${what} to have a header of ${header} bytes, received ${bytes.length}. It is cut off: get it again.`,
      { op },
    );
  const extents = Array.from({ length: axes }, (_, i) => view.getUint32(4 + 4 * i));
  const [count = 0, ...rest] = extents;
  if (rest.some((n, i) => n !== shape[i]))
    throw new FormatError(
      `expected ${what} to hold pictures of ${shape.join(' × ')}, received ${rest.join(' × ')}. It is another data set's file, or damaged.`,
      { op },
    );
  const wanted = header + count * shape.reduce((n, d) => n * d, 1);
  if (bytes.length !== wanted)
    throw new FormatError(
      `expected ${what} to have ${wanted} bytes, a header and ${count} ${kind(magic)}, received ${bytes.length}. ` +
        (bytes.length < wanted
          ? 'It is cut off: get it again.'
          : 'What follows is not of this file: get it again.'),
      { op },
    );
  return { count, values: bytes.subarray(header) };
}

/** Labels as int32, each below `classes`. */
function checkLabels(values: Uint8Array, classes: number, what: string, op: string): Int32Array<ArrayBuffer> {
  const labels = Int32Array.from(values);
  const bad = labels.findIndex((v) => v >= classes);
  if (bad >= 0)
    throw new FormatError(
      `expected labels from 0 to ${classes - 1} in ${what}, received ${labels[bad]} for number ${bad}. ${GET_AGAIN}`,
      { op },
    );
  return labels;
}

/** Images (28 × 28) and labels of MNIST's form. */
export function parseMnist(
  images: Uint8Array<ArrayBuffer>,
  labels: Uint8Array<ArrayBuffer>,
  names: { readonly images: string; readonly labels: string },
  op: string,
): Pictures {
  const pictures = parseIdx(images, [28, 28], names.images, op);
  const classes = parseIdx(labels, [], names.labels, op);
  if (pictures.count !== classes.count)
    throw new FormatError(
      `expected as many labels as images, received ${pictures.count} images in ${names.images} and ${classes.count} labels in ${names.labels}. One may be of the training set, the other of the test set.`,
      { op },
    );
  return { images: pictures.values, labels: checkLabels(classes.values, 10, names.labels, op) };
}

const PLANE = 32 * 32;
const RECORD = 1 + 3 * PLANE;

/** CIFAR-10's records as (N, 32, 32, 3) and labels. */
export function parseCifar10(
  files: readonly { readonly bytes: Uint8Array<ArrayBuffer>; readonly name: string }[],
  op: string,
): Pictures {
  let count = 0;
  for (const { bytes, name } of files) {
    const foreign = bytes.length % RECORD === 0 && bytes.length > 0 ? undefined : foreignFile(bytes);
    if (bytes.length === 0 || bytes.length % RECORD !== 0)
      throw new FormatError(
        `expected ${name} to hold records of ${RECORD} bytes, received ${foreign === undefined ? `${bytes.length} bytes, ${bytes.length % RECORD} too many or ${RECORD - (bytes.length % RECORD)} too few` : foreign.what}. Use the binary version (data_batch_1.bin …); ${foreign === undefined ? 'this one is cut off or has more at its end.' : 'look at the address or the file.'}`,
        { op },
      );
    count += bytes.length / RECORD;
  }
  const images = new Uint8Array(count * 3 * PLANE);
  const labels = new Int32Array(count);
  let n = 0;
  for (const { bytes, name } of files) {
    for (let at = 0; at < bytes.length; at += RECORD, n++) {
      const label = bytes[at] as number;
      if (label > 9)
        throw new FormatError(
          `expected labels from 0 to 9 in ${name}, received ${label} for number ${at / RECORD}. ${GET_AGAIN}`,
          { op },
        );
      labels[n] = label;
      let to = n * 3 * PLANE;
      for (let i = at + 1; i < at + 1 + PLANE; i++) {
        images[to++] = bytes[i] as number;
        images[to++] = bytes[i + PLANE] as number;
        images[to++] = bytes[i + 2 * PLANE] as number;
      }
    }
  }
  return { images, labels };
}
