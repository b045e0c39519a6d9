// What JavaScript's heap holds, counted in objects. Bytes would not do: what the engine compiles, or drops, comes to hundreds of kilobytes at any time.
import { getHeapSnapshot, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What programs make; the rest of a snapshot is the engine's: code, shapes, feedback. */
const MADE = ['object', 'closure', 'array', 'number', 'bigint', 'symbol', 'string', 'concatenated string'];

interface Snapshot {
  readonly snapshot: {
    readonly meta: {
      readonly node_fields: readonly string[];
      readonly node_types: readonly [readonly string[]];
    };
  };
  readonly nodes: readonly number[];
}

/** Collects what nobody can reach; finalizers run in tasks of their own, and what they let go is the next collection's. */
export async function collectGarbage(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** How many objects, arrays, functions, strings and boxed numbers can be reached. */
export async function heapObjects(): Promise<number> {
  await collectGarbage();
  const parts: Buffer[] = [];
  for await (const part of getHeapSnapshot()) parts.push(part as Buffer);
  const { snapshot, nodes } = JSON.parse(Buffer.concat(parts).toString()) as Snapshot;
  const { node_fields, node_types } = snapshot.meta;
  const made = node_types[0].map((type) => MADE.includes(type));
  let count = 0;
  for (let at = node_fields.indexOf('type'); at < nodes.length; at += node_fields.length)
    if (made[nodes[at] as number]) count++;
  return count;
}
