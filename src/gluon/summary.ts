// The table that `summary(x)` prints: Gluon's, line for line.
import { NDArray, runInScope } from '../array/ndarray.ts';
import { shapeText } from '../core/shape.ts';
import { callBlock } from './call.ts';
import type { Parameter } from './parameter.ts';
import { quietInference } from './quiet.ts';
import { type AnyBlock, type AnyHook, type Hook, stateOf } from './state.ts';
import { ownParameters, walk } from './tree.ts';

interface Row {
  readonly name: string;
  readonly shape: string;
  readonly parameters: number;
}

/** The shapes in a value, as Python would print them: `(1, 10)`, `(1, 10), (1, 5)`. */
function shapesIn(value: unknown): string {
  if (value instanceof NDArray) return shapeText(value.shape);
  if (Array.isArray(value)) {
    const parts = value.map((v) => (Array.isArray(v) ? `[${shapesIn(v)}]` : shapesIn(v)));
    return parts.join(', ');
  }
  return value === null || value === undefined ? 'None' : String(value);
}

function line(name: string, shape: string, count: string): string {
  return `${name.padStart(20)}  ${shape.padStart(42)} ${count.padStart(15)}`;
}

/** Runs one forward in inference mode, prints the table and returns it. */
export function summarize(root: AnyBlock, inputs: readonly unknown[]): string {
  const rows: Row[] = [{ name: 'Input', shape: shapesIn(inputs), parameters: 0 }];
  const seen = new Set<Parameter>();
  let [total, trainable, shared] = [0, 0, 0];
  const look = (block: AnyBlock, output: unknown): void => {
    let parameters = 0;
    for (const parameter of ownParameters(block).values()) {
      const { size } = parameter.listData()[0] as NDArray;
      parameters += size;
      if (parameter.gradReq !== 'null') trainable += size;
      if (seen.has(parameter)) shared += size;
      seen.add(parameter);
    }
    total += parameters;
    rows.push({ name: `${stateOf(block).className}-${rows.length}`, shape: shapesIn(output), parameters });
  };
  const undo: (() => void)[] = [];
  const watched = new Set<AnyBlock>();
  walk(root, (block) => {
    if (stateOf(block).isContainer || watched.has(block)) return;
    watched.add(block);
    const { hooks } = stateOf(block);
    const hook: Hook<AnyHook> = { run: (b, _, output) => look(b, output), keeps: false };
    hooks.push(hook);
    undo.push(() => hooks.splice(hooks.indexOf(hook), 1));
  });
  try {
    quietInference(() =>
      runInScope(
        () => 'summary',
        true,
        () => {
          callBlock(stateOf(root), [...inputs]);
        },
      ),
    );
  } finally {
    for (const f of undo) f();
  }
  const text = [
    '-'.repeat(80),
    line('Layer (type)', 'Output Shape', 'Param #'),
    '='.repeat(80),
    ...rows.map((row) => line(row.name, row.shape, String(row.parameters))),
    '='.repeat(80),
    'Parameters in forward computation graph, duplicate included',
    `   Total params: ${total}`,
    `   Trainable params: ${trainable}`,
    `   Non-trainable params: ${total - trainable}`,
    `Shared params in forward computation graph: ${shared}`,
    `Unique parameters in model: ${total - shared}`,
    '-'.repeat(80),
  ].join('\n');
  console.log(text);
  return text;
}
