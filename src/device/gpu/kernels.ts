// Which lowering a kernel takes. Random draws are not here: they move the device's generators (random.ts).
import type { Kernel, Operand } from '../../ir/kernel.ts';
import { lowerCustom } from './custom.ts';
import { lowerElementwise } from './elementwise.ts';
import type { DispatchSink } from './lowering.ts';
import { lowerProduct } from './product.ts';
import { lowerRow } from './row.ts';
import { lowerUpdate } from './update.ts';

/** Lowers any kernel but the random ones. */
export function lowerKernel(
  sink: DispatchSink,
  kernel: Kernel,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
  scalars: readonly number[],
): void {
  switch (kernel.kind) {
    case 'elementwise':
      lowerElementwise(sink, kernel, inputs, outputs, dims, scalars);
      break;
    case 'row':
      lowerRow(sink, kernel, inputs, outputs, dims, scalars);
      break;
    case 'product':
      lowerProduct(sink, kernel, inputs, outputs, dims, scalars);
      break;
    case 'update':
      lowerUpdate(sink, kernel, inputs, outputs, dims, scalars);
      break;
    case 'custom':
      lowerCustom(sink, kernel, inputs, outputs, dims, scalars);
      break;
  }
}
