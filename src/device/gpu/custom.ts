// Lowers the kernels that are neither elementwise, row-wise nor products (`CustomKernel` of ir/kernel.ts) to dispatches, each in the file of its family.
// Random draws are not here: they move the device's generators, which random.ts keeps.
import { GluonError } from '../../core/errors.ts';
import type { CustomKernel } from '../../ir/kernel.ts';
import { lowerCopy } from './customCopy.ts';
import { lowerGatherNd, lowerScatterAddNd, lowerScatterNd, lowerTake } from './customIndex.ts';
import { lowerPack } from './customPack.ts';
import { lowerPoolGrad } from './customPoolGrad.ts';
import { lowerCumsum } from './customScan.ts';
import { lowerSort } from './customSort.ts';
import { lowerPad, lowerPool } from './customWindow.ts';
import type { Lowering } from './lowering.ts';

/** Lowers any custom kernel but the random ones. */
export const lowerCustom: Lowering<CustomKernel> = (sink, kernel, inputs, outputs, dims, scalars) => {
  switch (kernel.name) {
    case 'stridedCopy':
      return lowerCopy(sink, inputs, outputs, dims);
    case 'take':
    case 'takeAlong':
      return lowerTake(sink, kernel.name === 'takeAlong', inputs, outputs, dims);
    case 'gatherNd':
      return lowerGatherNd(sink, inputs, outputs, dims);
    case 'scatterNd':
      return lowerScatterNd(sink, inputs, outputs, dims);
    case 'scatterAddNd':
      return lowerScatterAddNd(sink, inputs, outputs, dims);
    case 'pad':
      return lowerPad(sink, inputs, outputs, dims);
    case 'poolMax':
      return lowerPool(sink, 'max', kernel.epilogue, inputs, outputs, dims, scalars);
    case 'poolAvg':
      return lowerPool(sink, 'avg', kernel.epilogue, inputs, outputs, dims, scalars);
    case 'poolSum':
      return lowerPool(sink, 'sum', kernel.epilogue, inputs, outputs, dims, scalars);
    case 'poolMaxGrad':
      return lowerPoolGrad(sink, 'maxGrad', kernel.epilogue, inputs, outputs, dims, scalars);
    case 'poolMaxPick':
      return lowerPoolGrad(sink, 'maxPick', kernel.epilogue, inputs, outputs, dims, scalars);
    case 'poolAvgGrad':
      return lowerPoolGrad(sink, 'avgGrad', kernel.epilogue, inputs, outputs, dims, scalars);
    case 'poolSumGrad':
      return lowerPoolGrad(sink, 'sumGrad', kernel.epilogue, inputs, outputs, dims, scalars);
    case 'sort':
      return lowerSort(sink, inputs, outputs, dims);
    case 'pack':
      return lowerPack(sink, inputs, outputs, dims);
    case 'cumsum':
      return lowerCumsum(sink, inputs, outputs, dims);
    case 'randomUniform':
    case 'randomNormal':
    case 'randomInt':
    case 'randomShuffle':
      throw new GluonError(
        'expected a kernel without generators, received a random draw. Lower it through the device’s GpuRandom.',
        {
          op: kernel.name,
        },
      );
  }
};
