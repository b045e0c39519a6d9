// Matrices, convolutions and both gradients of convolutions as products of tables of offsets: A(m, k) lies at rows[m] + depth[k], and so on. Whoever multiplies is an engine:
// compiled kernels for float32, loops in JavaScript for all else.
import type { Heap } from '../heap.ts';
import type { Temporaries } from '../temporaries.ts';
import type { ConvCall, Finish, MatmulCall } from './calls.ts';
import type { Margins, Surrounded } from './convTables.ts';
import { gridOf, isWide, tapsOf, wideOf } from './convTables.ts';
import type { ConvGeometry, Triple } from './geometry.ts';
import { volume } from './geometry.ts';
import type { Batch } from './layout.ts';
import type { PlanRef, Shape, Starts } from './plans.ts';

/** Tables as nested counts and steps, and where they begin. */
export type Tables = readonly [Shape, Starts?];

/** What multiplies. Places in bytes. */
export interface Engine {
  readonly heap: Heap;
  readonly temporaries: Temporaries;
  /** Bytes of an element. */
  readonly width: number;
  /** Above this the images of a convolution are taken in parts, so that copies with zeros around them stay small. */
  readonly mostMarginBytes: number;
  /** Matrices on roads of their own; false where there is none. */
  unpacked?(call: MatmulCall, a: number, b: number, c: number, finish: Finish): boolean;
  /** Depthwise convolutions and their gradients on a road of their own; false where there is none. */
  depthwise?(call: ConvCall, a: number, b: number, c: number, finish: Finish): boolean;
  /** C = A·B, or C += A·B, for each of a batch. `tables` are made where `plan` has none. */
  run(
    plan: PlanRef,
    tables: () => Tables,
    a: number,
    b: number,
    c: number,
    finish: Finish,
    batch: Batch,
    add: boolean,
  ): void;
}

/** Matrices; `a`, `b` and `c` in bytes. */
export function matmul(
  engine: Engine,
  call: MatmulCall,
  a: number,
  b: number,
  c: number,
  finish: Finish,
): void {
  const { layout, plan } = call;
  const { M, N, K, cRow } = layout;
  const tables = (): Tables => [
    {
      aRows: [[M, call.a[0]]],
      aDepth: [[K, call.a[1]]],
      bDepth: [[K, call.b[1]]],
      bColumns: [[N, call.b[0]]],
      cRows: [[M, cRow]],
      cColumns: [[N, 1]],
    },
  ];
  if (engine.unpacked?.(call, a, b, c, finish) !== true)
    engine.run(plan, tables, a, b, c, finish, layout, false);
}

/** The groups of a convolution as a batch: elements from one's part of each operand to the next one's, and its rows. */
function groupsOf(g: ConvGeometry, a: number, b: number, c: number, rows: number): Batch {
  return { batch: g.groups, inner: 1, aSteps: [a, 0], bSteps: [b, 0], cSteps: [c, 0], biasStep: rows };
}

/** y(N, O, o) from x(N, C, i) and w, all in bytes. */
export function conv(engine: Engine, call: ConvCall, x: number, w: number, y: number, finish: Finish): void {
  const { g, margins } = call;
  const perImage = g.C * volume(g.i) * engine.width;
  inParts(engine, call, g.C, (part, first) => {
    const s = surround(engine, part.g.N * g.C, margins, x + first * perImage);
    const to = y + first * g.O * volume(g.o) * engine.width;
    convPart(engine, part, s, w, to, finish);
  });
}

function convPart(
  engine: Engine,
  { g, plan }: ConvCall,
  x: Surrounded,
  w: number,
  y: number,
  finish: Finish,
): void {
  const inChannels = g.C / g.groups;
  const outChannels = g.O / g.groups;
  const pixels = volume(g.o);
  const K = inChannels * volume(g.k);
  const tables = (): Tables => [
    {
      aRows: [[outChannels, K]],
      aDepth: [[K, 1]],
      ...tapsOf(g, x, inChannels),
      bColumns: gridOf(g, x, g.C),
      cRows: [[outChannels, pixels]],
      cColumns: [
        [g.N, g.O * pixels],
        [pixels, 1],
      ],
    },
  ];
  const groups = groupsOf(
    g,
    outChannels * K,
    inChannels * volume(x.extents),
    outChannels * pixels,
    outChannels,
  );
  engine.run(plan, tables, w, x.at, y, finish, groups, false);
}

/** The data's gradient, (N, C, i) from dy(N, O, o) and w: for each residue of the stride a convolution of stride 1. */
export function convGradData(
  engine: Engine,
  call: ConvCall,
  dy: number,
  w: number,
  dx: number,
  finish: Finish,
): void {
  const { g, margins } = call;
  const perImage = g.O * volume(g.o) * engine.width;
  inParts(engine, call, g.O, (part, first) => {
    const s = surround(engine, part.g.N * g.O, margins, dy + first * perImage);
    const to = dx + first * g.C * volume(g.i) * engine.width;
    const [sz, sy, sx] = g.s;
    for (let rz = 0; rz < Math.min(sz, g.i[0]); rz++)
      for (let ry = 0; ry < Math.min(sy, g.i[1]); ry++)
        for (let rx = 0; rx < Math.min(sx, g.i[2]); rx++)
          residueOf(engine, part, s, w, to, finish, [rz, ry, rx]);
  });
}

/** The places in the input that are ≡ residue modulo the stride. */
function residueOf(
  engine: Engine,
  call: ConvCall,
  dy: Surrounded,
  w: number,
  dx: number,
  finish: Finish,
  residue: Triple,
): void {
  const { g } = call;
  const inChannels = g.C / g.groups;
  const outChannels = g.O / g.groups;
  const kernelVolume = volume(g.k);
  const [, iy, ix] = g.i;
  const start = (residue[0] * iy + residue[1]) * ix + residue[2];
  const plan = call.residueOf(start);
  const tables = (): Tables => {
    const axis = (a: 0 | 1 | 2): Residue => {
      const ks: number[] = [];
      for (let k = 0; k < g.k[a]; k++) if ((residue[a] + g.p[a] - k * g.d[a]) % g.s[a] === 0) ks.push(k);
      const qs = ks.map((k) => (residue[a] + g.p[a] - k * g.d[a]) / g.s[a] + dy.before[a]);
      return {
        count: ks.length,
        k0: ks[0] ?? 0,
        dk: (ks[1] ?? 0) - (ks[0] ?? 0),
        q0: qs[0] ?? 0,
        dq: (qs[1] ?? 0) - (qs[0] ?? 0),
        extent: Math.ceil((g.i[a] - residue[a]) / g.s[a]),
      };
    };
    const [z, y, x] = [axis(0), axis(1), axis(2)];
    const [, ey, ex] = dy.extents;
    const [, ky, kx] = g.k;
    return [
      {
        aRows: [[inChannels, kernelVolume]],
        aDepth: [
          [outChannels, inChannels * kernelVolume],
          [z.count, z.dk * ky * kx],
          [y.count, y.dk * kx],
          [x.count, x.dk],
        ],
        bDepth: [
          [outChannels, volume(dy.extents)],
          [z.count, z.dq * ey * ex],
          [y.count, y.dq * ex],
          [x.count, x.dq],
        ],
        bColumns: [
          [g.N, g.O * volume(dy.extents)],
          [z.extent, ey * ex],
          [y.extent, ex],
          [x.extent, 1],
        ],
        cRows: [[inChannels, volume(g.i)]],
        cColumns: [
          [g.N, g.C * volume(g.i)],
          [z.extent, g.s[0] * iy * ix],
          [y.extent, g.s[1] * ix],
          [x.extent, g.s[2]],
        ],
      },
      { aDepth: (z.k0 * ky + y.k0) * kx + x.k0, bDepth: (z.q0 * ey + y.q0) * ex + x.q0, cColumns: start },
    ];
  };
  const groups = groupsOf(
    g,
    outChannels * inChannels * kernelVolume,
    outChannels * volume(dy.extents),
    inChannels * volume(g.i),
    inChannels,
  );
  engine.run(plan, tables, w, dy.at, dx, finish, groups, false);
}

/** The weights' gradient, (O, C/groups, k) from dy(N, O, o) and x(N, C, i). */
export function convGradWeight(
  engine: Engine,
  call: ConvCall,
  dy: number,
  x: number,
  dw: number,
  finish: Finish,
): void {
  const { g, margins } = call;
  const perImage = g.C * volume(g.i) * engine.width;
  inParts(engine, call, g.C, (part, first) => {
    const s = surround(engine, part.g.N * g.C, margins, x + first * perImage);
    const last = first + part.g.N === g.N;
    const from = dy + first * g.O * volume(g.o) * engine.width;
    const end = last ? finish : NOTHING;
    weightPart(engine, part, from, s, dw, end, first > 0);
  });
}

function weightPart(
  engine: Engine,
  { g, plan }: ConvCall,
  dy: number,
  x: Surrounded,
  dw: number,
  finish: Finish,
  add: boolean,
): void {
  const inChannels = g.C / g.groups;
  const outChannels = g.O / g.groups;
  const pixels = volume(g.o);
  const taps = inChannels * volume(g.k);
  const tables = (): Tables => {
    const { bDepth, bDepthStart } = tapsOf(g, x, inChannels);
    return [
      {
        aRows: [[outChannels, pixels]],
        aDepth: [
          [g.N, g.O * pixels],
          [pixels, 1],
        ],
        bDepth: gridOf(g, x, g.C),
        bColumns: bDepth,
        cRows: [[outChannels, taps]],
        cColumns: [[taps, 1]],
      },
      { bColumns: bDepthStart },
    ];
  };
  const groups = groupsOf(
    g,
    outChannels * pixels,
    inChannels * volume(x.extents),
    outChannels * taps,
    outChannels,
  );
  engine.run(plan, tables, dy, x.at, dw, finish, groups, add);
}

/** A copy of `planes` boxes with zeros around each, or the boxes themselves where there is nothing to add. */
function surround(
  { heap, temporaries, width }: Engine,
  planes: number,
  margins: Margins,
  from: number,
): Surrounded {
  const { extents, before } = margins;
  if (!isWide(margins)) return { at: from, extents, before: [0, 0, 0] };
  const wide = wideOf(margins);
  const at = temporaries.take(planes * volume(wide) * width);
  // the kernel copies four bytes at a time
  const words = ([z, y, x]: Triple): Triple => [z, y, (x * width) / 4];
  heap.kernels.product.surround(from, at, planes, ...words(extents), ...words(wide), ...words(before));
  return { at, extents: wide, before };
}

/** Calls `run` with all images at once, or with as many at a time as copies with zeros around them may be. */
function inParts(
  engine: Engine,
  call: ConvCall,
  channels: number,
  run: (part: ConvCall, first: number) => void,
): void {
  const { g, margins } = call;
  const perImage = channels * volume(wideOf(margins)) * engine.width;
  if (!isWide(margins) || perImage * g.N <= engine.mostMarginBytes) {
    run(call, 0);
    return;
  }
  const images = Math.max(1, Math.floor(engine.mostMarginBytes / perImage));
  for (let first = 0; first < g.N; first += images) run(call.part(Math.min(images, g.N - first)), first);
}

interface Residue {
  readonly count: number;
  readonly k0: number;
  readonly dk: number;
  readonly q0: number;
  readonly dq: number;
  readonly extent: number;
}

const NOTHING: Finish = { bias: 0, kind: 'none', relu: false };
