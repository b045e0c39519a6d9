// A block's children and parameters, found on its fields when they are needed: class fields define rather than assign, so nothing can be
// noticed at the assignment. Hot calls do not come here.
import { ArgumentError } from '../core/errors.ts';
import { internals, Parameter } from './parameter.ts';
import type { ParameterDict } from './parameterDict.ts';
import { type AnyBlock, type BlockState, isBlock, paramsOf, stateOf } from './state.ts';

/** Children by name, in the order in which they came: fields, and what `registerChild` added. */
export function childrenOf(block: AnyBlock): Map<string, AnyBlock> {
  const found: [string, AnyBlock][] = [];
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(block))
    if (isBlock(value)) {
      found.push([name, value]);
      seen.add(name);
    }
  for (const [name, { child, after }] of stateOf(block).explicit)
    if (!seen.has(name)) found.splice(after, 0, [name, child]);
  return new Map(found);
}

/** Parameters on fields, by the field's name. Those without a name get theirs here; replaced ones leave the block's dictionary. */
function fieldParameters(block: AnyBlock): Map<string, Parameter> {
  const state = stateOf(block);
  const dict = paramsOf(state);
  const found = new Map<string, Parameter>();
  for (const [field, value] of Object.entries(block)) if (value instanceof Parameter) found.set(field, value);
  for (const [field, before] of state.fields) {
    if (found.get(field) === before) continue;
    if (dict.get(before.name) === before && ![...found.values()].includes(before)) dict.delete(before.name);
    state.fields.delete(field);
  }
  for (const [field, parameter] of found) {
    internals.adopt(parameter, state.prefix + field, state.name);
    const known = dict.get(parameter.name);
    if (known !== undefined && known !== parameter)
      throw new ArgumentError(
        `expected one parameter of the name ${parameter.name}, received two, one of them as field ${field}. Give one another name.`,
        { op: state.className },
      );
    if (known === undefined) dict.set(parameter.name, parameter);
    state.fields.set(field, parameter);
  }
  return found;
}

/** A block's own parameters by full name: fields, and those of `params.get`. */
export function ownParameters(block: AnyBlock): ParameterDict {
  fieldParameters(block);
  return paramsOf(stateOf(block));
}

/** Calls `visit` for a block and all below it, parents first, with the path of field names that leads there (`''`, `blk.1.`). */
export function walk(
  block: AnyBlock,
  visit: (block: AnyBlock, path: string) => void,
  path = '',
  above: readonly AnyBlock[] = [],
): void {
  if (above.includes(block))
    throw new ArgumentError(
      `expected a tree of blocks, received one that contains itself at ${JSON.stringify(path.slice(0, -1))}. Keep references upwards in #private fields.`,
      { op: stateOf(block).className },
    );
  visit(block, path);
  const below = [...above, block];
  for (const [name, child] of childrenOf(block)) walk(child, visit, `${path}${name}.`, below);
}

/** Every parameter below a block by its name in files: paths of fields, `blk.1.weight`. */
export function structureNames(root: AnyBlock): Map<string, Parameter> {
  const named = new Map<string, Parameter>();
  walk(root, (block, path) => {
    const state = stateOf(block);
    const onFields = fieldParameters(block);
    for (const [field, parameter] of onFields) named.set(path + block.fileName(field), parameter);
    const held = new Set(onFields.values());
    // what was made by params.get and kept in no public field
    for (const [name, parameter] of paramsOf(state))
      if (!held.has(parameter))
        named.set(path + (name.startsWith(state.prefix) ? name.slice(state.prefix.length) : name), parameter);
  });
  return named;
}

/** Whether `state`'s block is `root` or below it. */
export function contains(root: BlockState, state: BlockState): boolean {
  let found = false;
  walk(root.block, (block) => {
    if (block === state.block) found = true;
  });
  return found;
}
