// Makes test-data/conformance/onnx.json.gz from a folder with ONNX's operator tests as JSON (one file an operator): node test/conformance/pack.mjs FOLDER
// float32 values are written with the fewest digits that give the same float32 back; nothing is left out.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const folder = process.argv[2] ?? fileURLToPath(new URL('../../../shared/conformance/onnx', import.meta.url));
const target = fileURLToPath(new URL('../../test-data/conformance/onnx.json.gz', import.meta.url));

const shortest = (value) => {
  if (typeof value !== 'number') return value;
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
};
const pack = (tensor) => ({
  ...tensor,
  data: tensor.dtype === 'float32' || tensor.dtype === 'float16' ? tensor.data.map(shortest) : tensor.data,
});

const operators = {};
for (const file of readdirSync(folder).sort())
  operators[file.replace(/\.json$/, '')] = JSON.parse(readFileSync(join(folder, file), 'utf8')).map((c) => ({
    ...c,
    inputs: c.inputs.map(pack),
    outputs: c.outputs.map(pack),
  }));
const bytes = gzipSync(JSON.stringify(operators), { level: 9 });
// the header's time and system bytes are zero, so that the same input gives the same file
bytes.fill(0, 4, 8);
bytes[9] = 255;
writeFileSync(target, bytes);
console.log(`${target}: ${Object.keys(operators).length} operators, ${bytes.length} bytes`);
