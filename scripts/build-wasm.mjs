// Compiles the CPU device's kernels (AssemblyScript, src/device/cpu/kernels) and writes them as text into src/device/cpu/wasm/binaries.ts, so that a
// plain import of the library works with no asset path. The product comes with fused multiply-add, and with what has to be changed for machines without.
// The written file is part of the repository; a test compiles anew and compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';
import { isMain, ROOT } from './report.mjs';

const SOURCES = 'src/device/cpu/kernels';
const TARGET = 'src/device/cpu/wasm/binaries.ts';

/** Name, source, further options. */
const BINARIES = [
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

const MADD = [0xfd, 0x85, 0x02];
const MUL = [0xfd, 0xe6, 0x01];
const ADD = [0xfd, 0xe4, 0x01];

/** An unsigned number in the form of WebAssembly's binaries. */
function leb(value) {
  const bytes = [];
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128);
  return [...bytes, value];
}

/**
 * What makes a machine's plain SIMD out of fused multiply-adds: each becomes a product and a sum, with the third operand aside in a local of its own. As edits of
 * the binary: bytes to keep, bytes to leave out, bytes to put there, and so on.
 * @param {Uint8Array} binary
 * @returns {[number, number, number[]][]}
 */
export function withoutFusion(binary) {
  let at = 8;
  const number = () => {
    let [value, shift] = [0, 0];
    for (;;) {
      const byte = binary[at++];
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
      shift += 7;
    }
  };
  const list = (one) => Array.from({ length: number() }, one);
  const parameters = [];
  let functions = [];
  const edits = [];
  let done = 0;
  const edit = (from, to, bytes) => {
    edits.push([from - done, to - from, bytes]);
    done = to;
  };
  while (at < binary.length) {
    const id = binary[at++];
    const sizeAt = at;
    const size = number();
    const end = at + size;
    if (id === 1) {
      list(() => {
        at++;
        parameters.push(list(() => at++).length);
        list(() => at++);
      });
    } else if (id === 3) functions = list(number);
    else if (id === 10) {
      const bodyAt = at;
      const own = [];
      let grown = 0;
      const count = number();
      for (let i = 0; i < count; i++) {
        const from = at;
        const bytes = number();
        const groups = at;
        const next = at + bytes;
        let locals = parameters[functions[i]];
        const kinds = number();
        const groupsEnd = at;
        for (let k = 0; k < kinds; k++) {
          locals += number();
          at++;
        }
        const declared = at;
        const spots = [];
        for (let p = at; p < next; p++) if (MADD.every((byte, k) => binary[p + k] === byte)) spots.push(p);
        at = next;
        if (spots.length === 0) continue;
        const put = [0x21, ...leb(locals), ...MUL, 0x20, ...leb(locals), ...ADD];
        const head = leb(kinds + 1);
        const more = head.length - (groupsEnd - groups) + 2 + spots.length * (put.length - MADD.length);
        const length = leb(bytes + more);
        own.push([from, groupsEnd, [...length, ...head]], [declared, declared, [1, 0x7b]]);
        for (const p of spots) own.push([p, p + MADD.length, put]);
        grown += more + length.length - (groups - from);
      }
      edit(sizeAt, bodyAt, leb(size + grown));
      for (const change of own) edit(...change);
    }
    at = end;
  }
  return edits;
}

/** The text of the file with all binaries. */
export async function binariesText() {
  const lines = [
    '// Written by scripts/build-wasm.mjs from the AssemblyScript sources in ../kernels. Do not edit.',
    '// One object, because bundlers would move single strings to where they are read.',
    'export const BINARIES = {',
  ];
  let edits = [];
  for (const [name, source, options] of BINARIES) {
    const binary = await compile(source, options);
    lines.push(`  ${name}:`, `    '${textOf(binary)}',`);
    if (name === 'relaxed') edits = withoutFusion(binary);
  }
  const changes = edits.map(([keep, drop, bytes]) => `  [${keep}, ${drop}, '${textOf(bytes)}'],`);
  lines.push(
    '};',
    '// What makes the form without fused multiply-adds of `relaxed`: characters to keep, to leave out, and to put there.',
  );
  lines.push(
    'export const PLAIN: readonly (readonly [keep: number, drop: number, put: string])[] = [',
    ...changes,
    '];',
  );
  return `${lines.join('\n')}\n`;
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
