// Compiles the CPU device's kernels (AssemblyScript, src/device/cpu/kernels) and writes them as text into src/device/cpu/wasm/binaries.ts, so that a
// plain import of the library works with no asset path. The product comes in two forms, with and without fused multiply-add.
// The written file is part of the repository; a test compiles anew and compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';
import { isMain, ROOT } from './report.mjs';

const SOURCES = 'src/device/cpu/kernels';
const TARGET = 'src/device/cpu/wasm/binaries.ts';

/** Name, source, further options. */
const BINARIES = [
  ['plain', 'product.ts', []],
  ['relaxed', 'product.ts', ['--enable', 'relaxed-simd']],
  ['vector', 'vector.ts', []],
];

/** One source as a binary; what the compiler says is thrown. */
async function compile(source, options) {
  let binary;
  const { error, stderr } = await asc.main(
    [
      `${SOURCES}/${source}`,
      // no allocator, no collector, no data: the kernels live in the device's memory and own none of it
      ...['--runtime', 'stub', '--noAssert', '--noExportMemory'],
      // with a maximum the flag that says whether the memory is shared can be changed when the binary is loaded
      ...['--importMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
      ...['-O3', '--enable', 'simd', '--outFile', 'out.wasm'],
      ...options,
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
 * A character for each byte, so that gzip finds what repeats as it does in the binary (base64 would pack a third worse, hexadecimal 5 %): visible
 * ASCII for the lower bytes, which are the most, and from U+00A1 on for those from 95 on. load.ts turns it back.
 * @param {Uint8Array} binary
 */
export function textOf(binary) {
  const text = Array.from(binary, (byte) => String.fromCharCode(byte + (byte < 95 ? 32 : 66))).join('');
  return text.replaceAll(/['\\]/g, '\\$&');
}

/** The text of the file with all binaries. */
export async function binariesText() {
  const lines = [
    '// Written by scripts/build-wasm.mjs from the AssemblyScript sources in ../kernels. Do not edit.',
    '// One object, because bundlers would move single strings to where they are read.',
    'export const BINARIES = {',
  ];
  for (const [name, source, options] of BINARIES) {
    lines.push(`  ${name}:`, `    '${textOf(await compile(source, options))}',`);
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
