// Bytes at any place. WebGPU copies whole words only; what begins or ends inside a word goes through this one shader.
import type { Storage } from '../../ir/storage.ts';
import { uniformBlock, uniformWord } from './dtypes.ts';
import type { DispatchSink, GpuShader } from './lowering.ts';

const WORKGROUP = 64;

/** Uniform words: first byte in the source, first byte in the target, bytes, invocations per grid row. One invocation writes one word of the target. */
const copyShader: GpuShader = {
  key: 'copyBytes',
  label: 'copy',
  bindings: ['read', 'read_write'],
  code: () => `@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> target_: array<u32>;
${uniformBlock(2)}@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
  let fromAt = ${uniformWord(0)};
  let toAt = ${uniformWord(1)};
  let end = toAt + ${uniformWord(2)};
  let word = (toAt >> 2u) + gid.x + gid.y * ${uniformWord(3)};
  if (word * 4u >= end) { return; }
  var result = target_[word];
  for (var lane = 0u; lane < 4u; lane++) {
    let at = word * 4u + lane;
    if (at >= toAt && at < end) {
      let from_ = fromAt + (at - toAt);
      let value = (source[from_ >> 2u] >> ((from_ & 3u) * 8u)) & 0xffu;
      result = (result & ~(0xffu << (lane * 8u))) | (value << (lane * 8u));
    }
  }
  target_[word] = result;
}
`,
};

/** Copies bytes between two storages of different buffers, at any places. */
export function copyBytes(
  sink: DispatchSink,
  from: Storage,
  fromAt: number,
  to: Storage,
  toAt: number,
  bytes: number,
): void {
  if (bytes === 0) return;
  const words = Math.floor((toAt + bytes - 1) / 4) - Math.floor(toAt / 4) + 1;
  const groups = Math.ceil(words / WORKGROUP);
  const x = Math.min(groups, sink.traits.maxWorkgroups);
  sink.u32(fromAt);
  sink.u32(toAt);
  sink.u32(bytes);
  sink.u32(x * WORKGROUP);
  sink.dispatch(copyShader, [from, to], x, Math.ceil(groups / x), 1);
}
