// The pictures and the weights, as bytes: fetched, unpacked, checked. What they mean is model and view's business.

/** Labelled grey pictures, one byte a pixel, 0 black. */
export interface Pictures {
  readonly count: number;
  /** Pixels along one side. */
  readonly side: number;
  /** `count × side × side` bytes, row by row. */
  readonly pixels: Uint8Array<ArrayBuffer>;
  /** The true class of each picture. */
  readonly labels: Uint8Array<ArrayBuffer>;
}

/** Fashion-MNIST's ten classes, in the order of their labels. */
export const CLASSES = [
  'T-shirt/top',
  'Trouser',
  'Pullover',
  'Dress',
  'Coat',
  'Sandal',
  'Shirt',
  'Sneaker',
  'Bag',
  'Ankle boot',
] as const;

export function className(label: number): string {
  return CLASSES[label] ?? `class ${label}`;
}

/** A file beside the page. Rejects with a sentence that names it. */
export async function fetchBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  let response: Response;
  try {
    response = await fetch(new URL(path, document.baseURI));
  } catch (cause) {
    throw new Error(`${path} could not be fetched. Check the connection and try again.`, { cause });
  }
  if (!response.ok) throw new Error(`${path} could not be fetched: the server answered ${response.status}.`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Unpacks gzip; leaves alone what the server or the browser has unpacked already. */
export async function gunzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

/**
 * The bytes of an idx file (yann.lecun.com/exdb/mnist): 0, 0, type 8 (uint8), number of axes, then each axis as a big-endian
 * 32-bit number, then the values.
 */
export function parseIdx(
  bytes: Uint8Array<ArrayBuffer>,
  axes: number,
): { readonly shape: readonly number[]; readonly values: Uint8Array<ArrayBuffer> } {
  const head = 4 + 4 * axes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < head || view.getUint32(0) !== 0x800 + axes)
    throw new Error(`This is not an idx file of bytes with ${axes} axes.`);
  const shape = Array.from({ length: axes }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = shape.reduce((product, length) => product * length, 1);
  if (bytes.length !== head + size)
    throw new Error(`The idx file promises ${size} values and holds ${bytes.length - head}.`);
  return { shape, values: bytes.subarray(head) };
}

/** Puts pictures and labels together; refuses files that do not belong to each other. */
export function joinPictures(images: Uint8Array<ArrayBuffer>, labels: Uint8Array<ArrayBuffer>): Pictures {
  const { shape, values } = parseIdx(images, 3);
  const [count = 0, side = 0, width = 0] = shape;
  const truth = parseIdx(labels, 1).values;
  if (side !== width) throw new Error(`The pictures are ${side} by ${width} pixels, not square.`);
  if (truth.length !== count) throw new Error(`There are ${count} pictures and ${truth.length} labels.`);
  return { count, side, pixels: values, labels: truth };
}

/** The 900 labelled pictures that come with the page. */
export async function fetchPictures(folder: string): Promise<Pictures> {
  const file = async (name: string): Promise<Uint8Array<ArrayBuffer>> =>
    gunzip(await fetchBytes(`${folder}/${name}`));
  const [images, labels] = await Promise.all([
    file('fashion-sprite-images-idx3-ubyte.gz'),
    file('fashion-sprite-labels-idx1-ubyte.gz'),
  ]);
  return joinPictures(images, labels);
}

/** The file holds the classes one after the other; this order deals them out in turn, so that every row shows all ten. */
export function dealtOrder(labels: Uint8Array): number[] {
  const byClass = CLASSES.map((): number[] => []);
  for (const [index, label] of labels.entries()) byClass[label]?.push(index);
  const order: number[] = [];
  for (let round = 0; order.length < labels.length && round < labels.length; round++) {
    for (const indices of byClass) {
      const index = indices[round];
      if (index !== undefined) order.push(index);
    }
  }
  return order;
}
