// What the visitor may set, and what follows from it: how many pictures, how long a run is, the learning rate at every point of it.

export interface Settings {
  /** The optimizer's learning rate at the beginning. */
  readonly learningRate: number;
  /** Whether the rate stays or falls to zero along half a cosine. */
  readonly schedule: 'cosine' | 'constant';
  readonly batchSize: number;
  readonly epochs: number;
  /** Training pictures in an epoch: the first so many of the file. */
  readonly pictures: number;
  /** Of the first weights and of the order of the pictures. */
  readonly seed: number;
}

export const LEARNING_RATES = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5] as const;
export const BATCH_SIZES = [16, 32, 64, 128, 256, 512] as const;
export const EPOCHS = [1, 2, 3, 5, 10, 20] as const;
/** All of MNIST, or a part where time is short. A sixth as many test pictures belong to each. */
export const PICTURES = [60_000, 12_000, 3_000] as const;

export const DEFAULTS: Settings = {
  learningRate: 0.02,
  schedule: 'cosine',
  batchSize: 64,
  epochs: 3,
  pictures: 60_000,
  seed: 1,
};

/** Test pictures that belong to so many training pictures, in MNIST's own proportion. */
export function testPictures(pictures: number): number {
  return Math.max(1, Math.round(pictures / 6));
}

/** Pictures that a whole run sees. */
export function lengthOf({ epochs, pictures }: Settings): number {
  return epochs * pictures;
}

/**
 * The learning rate after `seen` pictures. Cosine: `rate · (1 + cos(π · seen / all)) / 2` (Loshchilov and Hutter, SGDR,
 * arxiv.org/abs/1608.03983, without restarts).
 */
export function rateAt(settings: Settings, seen: number): number {
  const { learningRate, schedule } = settings;
  if (schedule === 'constant') return learningRate;
  const share = Math.min(1, seen / lengthOf(settings));
  return (learningRate * (1 + Math.cos(Math.PI * share))) / 2;
}

/** How many of the next pictures make a batch: the last one of an epoch may be smaller. */
export function batchLength({ batchSize, pictures }: Settings, offset: number): number {
  return Math.min(batchSize, pictures - offset);
}

/**
 * Settings that the address or the storage holds, made whole: what is missing or makes no sense is the default.
 * `?pictures=3000&epochs=1` sets two of them.
 */
export function readSettings(given: Readonly<Partial<Record<keyof Settings, unknown>>>): Settings {
  const number = (name: keyof Settings, low: number, high: number, whole = true): number => {
    const value = Number(given[name] ?? Number.NaN);
    const fits = value >= low && value <= high && (!whole || Number.isInteger(value));
    return fits ? value : Number(DEFAULTS[name]);
  };
  return {
    learningRate: number('learningRate', 1e-6, 10, false),
    schedule: given.schedule === 'constant' ? 'constant' : 'cosine',
    batchSize: number('batchSize', 1, 2048),
    epochs: number('epochs', 1, 1000),
    pictures: number('pictures', 60, 60_000),
    seed: number('seed', 0, 2 ** 31 - 1),
  };
}
