// MNIST beside the page: fetched with progress, unpacked, checked; and the order in which an epoch takes the pictures.
import { nd, random } from 'webgluon';
import { gunzip, joinPictures, type Pictures } from '../data.ts';

/** MNIST's two parts, by the names of their files. */
export type Part = 'train' | 't10k';

export type OnBytes = (done: number, total: number) => void;

async function fetchFile(url: URL, onBytes: OnBytes): Promise<Uint8Array<ArrayBuffer>> {
  const name = url.pathname.split('/').at(-1);
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new Error(`${name} could not be fetched. Check the connection and try again.`, { cause });
  }
  if (!response.ok || response.body === null)
    throw new Error(`${name} could not be fetched: the server answered ${response.status}.`);
  const total = Number(response.headers.get('Content-Length') ?? 0);
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let done = 0;
  try {
    for (const reader = response.body.getReader(); ; ) {
      const { done: ended, value } = await reader.read();
      if (ended) break;
      chunks.push(value);
      done += value.length;
      onBytes(done, Math.max(done, total));
    }
  } catch (cause) {
    throw new Error(`${name} broke off after ${done} bytes. Check the connection and try again.`, { cause });
  }
  return gunzip(new Uint8Array(await new Blob(chunks).arrayBuffer()));
}

/** One part of MNIST. Rejects with a sentence that names the file. */
export async function fetchPart(root: string, part: Part, onBytes: OnBytes): Promise<Pictures> {
  const file = (kind: string): URL => new URL(`${part}-${kind}-ubyte.gz`, root);
  const [images, labels] = await Promise.all([
    fetchFile(file('images-idx3'), onBytes),
    fetchFile(file('labels-idx1'), () => {}),
  ]);
  const pictures = joinPictures(images, labels);
  const strange = pictures.labels.find((label) => label > 9);
  if (strange !== undefined) throw new Error(`The ${part} labels hold ${strange}, which is no digit.`);
  if (pictures.side !== 28) throw new Error(`The ${part} pictures are ${pictures.side} pixels wide, not 28.`);
  return pictures;
}

/** The order of an epoch's pictures: the same for the same seed and epoch, so that a run may go on in the middle of one. */
export async function epochOrder(seed: number, epoch: number, count: number): Promise<Int32Array> {
  // Mixed, because neighbouring seeds would share orders otherwise: epoch 1 of seed 1 and epoch 0 of seed 2.
  random.seed((Math.imul(seed, 0x9e3779b1) ^ Math.imul(epoch + 1, 0x85ebca6b)) >>> 1);
  const order = nd.scope(() => random.shuffle(nd.arange(count, { dtype: 'int32' })));
  const values = await order.data('int32');
  order.dispose();
  return values;
}

/** The pixels of some pictures, one after the other, and their labels. */
export function gather(
  { pixels, labels, side }: Pictures,
  indices: Int32Array,
): { readonly pixels: Uint8Array<ArrayBuffer>; readonly labels: Uint8Array<ArrayBuffer> } {
  const size = side * side;
  const batch = { pixels: new Uint8Array(indices.length * size), labels: new Uint8Array(indices.length) };
  for (const [at, index] of indices.entries()) {
    batch.pixels.set(pixels.subarray(index * size, (index + 1) * size), at * size);
    batch.labels[at] = labels[index] ?? 0;
  }
  return batch;
}
