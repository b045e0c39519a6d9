// docs/conformance.md: how many of ONNX's operator cases pass, and which are left out and why. Written from the map that the tests run by.
import type { OnnxCase } from './cases.ts';
import { leftOut, leftOutOnGpu } from './map.ts';

interface Row {
  readonly op: string;
  readonly cases: readonly OnnxCase[];
  /** On the CPU and on every GPU. */
  readonly both: readonly OnnxCase[];
  /** On the CPU, and on a GPU that has the type. */
  readonly halves: readonly OnnxCase[];
  /** On the CPU only. */
  readonly doubles: readonly OnnxCase[];
  readonly left: readonly OnnxCase[];
}

function rowOf(op: string, cases: readonly OnnxCase[]): Row {
  const running = cases.filter((c) => leftOut(c) === undefined);
  return {
    op,
    cases,
    both: running.filter((c) => leftOutOnGpu(c, false) === undefined),
    halves: running.filter(
      (c) => leftOutOnGpu(c, false) !== undefined && leftOutOnGpu(c, true) === undefined,
    ),
    doubles: running.filter((c) => leftOutOnGpu(c, true) !== undefined),
    left: cases.filter((c) => leftOut(c) !== undefined),
  };
}

const sum = (rows: readonly Row[], part: (row: Row) => readonly OnnxCase[]): number =>
  rows.reduce((n, row) => n + part(row).length, 0);
const cell = (n: number): string => (n === 0 ? '' : String(n));

/** The page's text. */
export function conformancePage(operators: ReadonlyMap<string, readonly OnnxCase[]>): string {
  const rows = [...operators].map(([op, cases]) => rowOf(op, cases));
  const total = sum(rows, (r) => r.cases);
  const left = sum(rows, (r) => r.left);
  const lines = [
    '# ONNX’s operator tests',
    '',
    'ONNX’s own operator tests (onnx 1.22.0, Apache-2.0) know nothing of this library. Each case that an operation of `nd`, or a short composition of such,',
    'expresses runs on the CPU and on the GPU: `test/conformance`. This page is generated from the map that the tests run by, and a test checks that it is up to date',
    '(`npx vitest run test/conformance -u` writes it anew).',
    '',
    `**${total - left} of ${total} cases pass**: ${sum(rows, (r) => r.both)} on both devices, ${sum(rows, (r) => r.halves)} with float16 on the CPU and on adapters with \`shader-f16\`, ${sum(rows, (r) => r.doubles)} with float64 on the CPU only, since no GPU holds it. ${left} are left out, for the reasons below.`,
    '',
    'Integers of 16 and 64 bits are carried as int32 and uint32 where all values fit (they do in every case that runs). Integers and booleans must be exact; float32',
    'agrees within 2·10⁻⁵ of the value (10⁻⁶ near zero), float16 within one unit of its last place, float64 within 10⁻¹². A result without axes has the shape `[1]` here, as in Gluon.',
    '',
    '## By operator',
    '',
    '| operator | cases | both devices | float16: CPU, GPU with shader-f16 | float64: CPU | left out |',
    '|---|--:|--:|--:|--:|--:|',
    ...rows.map(
      (r) =>
        `| ${r.op} | ${r.cases.length} | ${cell(r.both.length)} | ${cell(r.halves.length)} | ${cell(r.doubles.length)} | ${cell(r.left.length)} |`,
    ),
    '',
    '## Left out',
    '',
    '| operator | reason | cases |',
    '|---|---|---|',
  ];
  for (const { op, left: cases } of rows) {
    const reasons = new Map<string, string[]>();
    for (const c of cases) {
      const reason = leftOut(c) as string;
      reasons.set(reason, [...(reasons.get(reason) ?? []), c.name]);
    }
    for (const [reason, names] of reasons) lines.push(`| ${op} | ${reason} | ${names.join(', ')} |`);
  }
  return `${lines.join('\n')}\n`;
}
