// A piece of a device's memory, as plain data.

/**
 * Bytes on one device. Counted: `refs` says how many arrays, views and records hold it, and the array floor calls `device.free` when it
 * falls to zero. A device may keep fields of its own on the objects it hands out.
 */
export interface Storage {
  /** The buffer's number, unique for the device's life; 0 is the CPU's one memory. */
  readonly buffer: number;
  /** Where it begins in the buffer, in bytes: a multiple of 16 on the CPU, of 256 on a GPU. */
  readonly offset: number;
  /** The bytes that were asked for (the device may reserve more). */
  readonly bytes: number;
  /** How many hold it. */
  refs: number;
  /** How many of those are handles in a user's hands. */
  userRefs: number;
  /** Raised at every write in place, so that autograd notices values that changed since it noted them; absent for none. */
  version?: number;
}
