// How the one GPU is opened: once for calls made together, anew after a loss. Comes with what finds adapters, by `import()`: small, and all that is loaded where there is no GPU.
import { type Context, gpu } from '../../core/context.ts';
import { companions, gpus, isOpen, part } from '../gpus.ts';
import type { GpuDevice } from './gpuDevice.ts';
import { checkOptions, findAdapter, type OpenOptions, openAdapter } from './openAdapter.ts';

async function open(options: OpenOptions): Promise<GpuDevice> {
  const adapter = await findAdapter(options);
  const [opened, { GpuDevice }] = await Promise.all([
    openAdapter(options, adapter),
    part(import('./gpuDevice.ts')),
    ...companions.map((load) => part(load())),
  ]);
  const device = new GpuDevice(opened);
  if (gpus.seed !== undefined) device.seed(gpus.seed);
  gpus.device = device;
  gpus.loss = undefined;
  const waiting = gpus.waiting;
  gpus.waiting = [];
  void device.lost.then((loss) => {
    if (gpus.device === device) {
      gpus.device = undefined;
      gpus.loss = loss;
    }
    for (const resolve of waiting) resolve(loss);
  });
  return device;
}

/** Opens the GPU, unless it is. Refuses options that are none before anything is opened. */
export async function openOnce(op: string, options: OpenOptions): Promise<Context> {
  checkOptions(op, options);
  const allowSoftware = options.allowSoftware === true;
  while (!isOpen(gpus.device)) {
    const { opening } = gpus;
    if (opening === undefined) {
      const mine = { allowSoftware, done: open(options) };
      gpus.opening = mine;
      const clear = (): void => {
        if (gpus.opening === mine) gpus.opening = undefined;
      };
      mine.done.then(clear, clear);
      await mine.done;
    } else if (opening.allowSoftware === allowSoftware) {
      await opening.done;
    } else {
      // Somebody asks for less or more: whatever comes of it, decide anew.
      await opening.done.catch(() => undefined);
    }
  }
  return gpu(0);
}

/** Throws GpuUnavailableError where none could be opened. */
export async function look(options: OpenOptions): Promise<void> {
  checkOptions('numGpus', options);
  if (!isOpen(gpus.device)) await findAdapter(options);
}
