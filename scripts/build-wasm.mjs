// Compiles the CPU device's kernels (AssemblyScript, src/device/cpu/kernels) and writes them as text into src/device/cpu/wasm/binaries.ts, so that a
// plain import of the library works with no asset path.
// The written file is part of the repository; a test compiles anew and compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';
import { isMain, ROOT } from './report.mjs';

const SOURCES = 'src/device/cpu/kernels';
const TARGET = 'src/device/cpu/wasm/binaries.ts';

/** The modules, each of the source of its name. */
const MODULES = ['product', 'vector'];

/** One source as a binary; what the compiler says is thrown. */
async function compile(source) {
  let binary;
  const { error, stderr } = await asc.main(
    [
      `${SOURCES}/${source}`,
      // no allocator, no collector, no data: the kernels live in the device's memory and own none of it
      ...['--runtime', 'stub', '--noAssert', '--noExportMemory'],
      // with a maximum the flag that says whether the memory is shared can be changed when the binary is loaded
      ...['--importMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
      // `z`: 4 % smaller than -O3 alone, and as fast
      ...['-O3z', '--enable', 'simd', '--outFile', 'out.wasm'],
    ],
    {
      readFile: (name, base) => {
        try {
          return readFileSync(join(base === '.' ? ROOT : base, name), 'utf8');
        } catch {
          return null;
        }
      },
      writeFile: (name, contents) => {
        if (name === 'out.wasm') binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error || !binary) throw new Error(`${source}: ${stderr.toString() || error?.message}`);
  return binary;
}

/**
 * A character for each byte, so that gzip finds what repeats as it does in the binary (base64 would pack a third worse, hexadecimal 5 %): visible ASCII for those
 * from 247 round to 85, which are the most, and from U+00A1 on for the others. load.ts turns it back.
 * @param {Uint8Array} binary
 */
function textOf(binary) {
  const characters = Array.from(binary, (byte) => {
    const turned = (byte + 9) & 255;
    return String.fromCharCode(turned + (turned < 95 ? 32 : 66));
  });
  const text = characters.join('');
  // in the quotes that need fewer backslashes, as the formatter has it
  const quote = text.split("'").length > text.split('"').length ? '"' : "'";
  return quote + text.replaceAll(quote === '"' ? /["\\]/g : /['\\]/g, '\\$&') + quote;
}

/** Refuses a binary whose marks (kernels/madd.ts) do not come in pairs: bytes that look like one, or a step that was changed. */
function checkMarks(binary) {
  const text = Array.from(binary, (byte) => String.fromCharCode(byte)).join('');
  const [products, sums] = ['\xfd\xf6\x01', '\xfd\xf7\x01'].map((mark) => text.split(mark).length - 1);
  if (products !== sums) throw new Error(`${products} products and ${sums} sums of them`);
}

/** The text of the file with all binaries. */
export async function binariesText() {
  const lines = [
    '// Written by scripts/build-wasm.mjs from the AssemblyScript sources in ../kernels. Do not edit.',
    '// One object, because bundlers would move single strings to where they are read.',
    'export const BINARIES = {',
  ];
  for (const name of MODULES) {
    const binary = await compile(`${name}.ts`);
    checkMarks(binary);
    lines.push(`  ${name}:`, `    ${textOf(binary)},`);
  }
  return `${lines.join('\n')}\n};\n`;
}

export const binariesFile = join(ROOT, TARGET);

if (isMain(import.meta.url)) {
  const text = await binariesText();
  let before = '';
  try {
    before = readFileSync(binariesFile, 'utf8');
  } catch {}
  if (text !== before) writeFileSync(binariesFile, text);
  process.stdout.write(
    `${TARGET}: ${Math.round(text.length / 1000)} kB${text === before ? ', as it was' : ''}\n`,
  );
}
