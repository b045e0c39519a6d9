// What kernels took on the CPU, while `profile` runs.
import type { KernelTime } from '../device.ts';

export class KernelTimer {
  readonly times: KernelTime[] = [];

  /** Notes a kernel that ran from `began` (of `performance.now()`) until now. */
  add(label: string, began: number): void {
    this.times.push({ label, ns: (performance.now() - began) * 1e6, at: began });
  }
}
