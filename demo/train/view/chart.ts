// One chart: the batches faint, their running mean, and the tests as dots. uPlot draws; what the numbers mean, and how an axis is bent, comes from outside.
import uPlot from 'uplot';
import { byId, make } from '../../view/dom.ts';
import { type Point, smooth } from '../curve.ts';
import type { Test } from '../messages.ts';

/** How a figure goes up the axis. */
export interface Axis {
  readonly ofPoint: (point: Point) => number;
  readonly ofTest: (test: Test) => number;
  /** Of a single batch, where that is not `ofPoint`. */
  readonly ofBatch?: (point: Point) => number;
  /** Bends the axis; rising. */
  readonly height: (value: number) => number;
  /** Values that may get a line. */
  readonly ticks: readonly number[];
  /** What the axis shows at least, from below to above. */
  readonly least: readonly [number, number];
  readonly text: (value: number) => string;
}

export interface ChartData {
  readonly bins: readonly Point[];
  readonly tests: readonly Test[];
  /** Pictures in an epoch, and epochs of the whole run: the width of the chart. */
  readonly pictures: number;
  readonly epochs: number;
}

/** Over a hundredth of the run: calm enough to read, quick enough to follow. */
export function runningMean(
  bins: readonly Point[],
  value: (point: Point) => number,
  length: number,
): number[] {
  return smooth(bins, value, Math.max(500, length / 100));
}

const EMPTY: ChartData = { bins: [], tests: [], pictures: 1, epochs: 1 };

export class Chart {
  readonly #name: string;
  readonly #axis: Axis;
  readonly #plot: HTMLDivElement;
  readonly #keys: { readonly train: HTMLElement; readonly test: HTMLElement };
  readonly #trainValue = make('b');
  readonly #testValue = make('b');
  readonly #readout: HTMLElement;
  readonly #chart: uPlot;
  #data = EMPTY;
  #mean: readonly number[] = [];

  constructor(id: string, name: string, axis: Axis) {
    this.#name = name;
    this.#axis = axis;
    const figure = byId(id, HTMLElement);
    const find = (selector: string): HTMLElement => {
      const element = figure.querySelector<HTMLElement>(selector);
      if (element === null) throw new Error(`The chart ${id} has no ${selector}.`);
      return element;
    };
    this.#plot = find('.plot') as HTMLDivElement;
    this.#readout = find('.readout');
    this.#keys = { train: find('.train-key'), test: find('.test-key') };
    this.#keys.train.append(' ', this.#trainValue);
    this.#keys.test.append(' ', this.#testValue);
    this.#chart = new uPlot(this.#options(), [[], [], [], []], this.#plot);
    new ResizeObserver(() => this.#chart.setSize(this.#size())).observe(this.#plot);
  }

  show(data: ChartData): void {
    this.#data = data;
    const { bins, tests, pictures, epochs } = data;
    const { ofPoint, ofTest, ofBatch = ofPoint, height } = this.#axis;
    this.#mean = runningMean(bins, ofPoint, pictures * epochs);
    const x = (seen: number): number => seen / pictures;
    const trained: uPlot.AlignedData = [
      bins.map(({ seen }) => x(seen)),
      bins.map((point) => height(ofBatch(point))),
      this.#mean.map(height),
    ];
    const tested: uPlot.AlignedData = [
      tests.map(({ seen }) => x(seen)),
      tests.map((test) => height(ofTest(test))),
    ];
    const joined =
      bins.length === 0 || tests.length === 0
        ? ([
            [...trained[0], ...tested[0]],
            trained[1] ?? [],
            trained[2] ?? [],
            tested[1] ?? [],
          ] as uPlot.AlignedData)
        : uPlot.join([trained, tested]);
    this.#chart.setData(joined);
    this.#say(bins.length - 1, tests.length - 1);
  }

  /** After a change of colours. */
  redraw(): void {
    this.#chart.redraw(false, true);
  }

  /** A sentence for those who do not see the chart. */
  describe(): void {
    const { bins, tests, pictures } = this.#data;
    const last = bins.at(-1);
    const test = tests.at(-1);
    const { text, ofTest } = this.#axis;
    const mean = this.#mean.at(-1);
    const parts = [
      last === undefined || mean === undefined
        ? 'nothing to show yet'
        : `${text(mean)} in training after ${(last.seen / pictures).toFixed(2)} epochs`,
      ...(test === undefined ? [] : [`${text(ofTest(test))} at the last test`]),
    ];
    this.#plot.setAttribute('aria-label', `${this.#name}: ${parts.join(', ')}`);
  }

  #say(bin: number, test: number): void {
    const { tests } = this.#data;
    const { text, ofTest } = this.#axis;
    const mean = this.#mean[bin];
    const at = tests[test];
    this.#trainValue.textContent = mean === undefined ? '' : text(mean);
    this.#testValue.textContent = at === undefined ? '' : text(ofTest(at));
  }

  /** The figures below the pointer, else the last ones. */
  #point(left: number | undefined): void {
    const { bins, tests, pictures } = this.#data;
    if (left === undefined || left < 0 || bins.length === 0) {
      this.#readout.textContent = '';
      this.#say(bins.length - 1, tests.length - 1);
      return;
    }
    const epoch = this.#chart.posToVal(left, 'x');
    const seen = epoch * pictures;
    const bin = bins.findIndex((point) => point.seen >= seen);
    this.#say(
      bin < 0 ? bins.length - 1 : bin,
      tests.findLastIndex((test) => test.seen <= seen),
    );
    this.#readout.textContent = `at ${epoch.toFixed(2)} epochs`;
  }

  #size(): { width: number; height: number } {
    const width = Math.max(200, Math.floor(this.#plot.clientWidth));
    return { width, height: Math.round(Math.min(300, Math.max(200, width * 0.52))) };
  }

  /** From the lowest to the highest that is there, the least range included. */
  #range(): [number, number] {
    const { ofPoint, ofTest, height, least } = this.#axis;
    const { bins, tests } = this.#data;
    // Single batches may leave the picture, or a lucky one would squeeze all others together.
    const heights = [...this.#mean, ...tests.map(ofTest), ...bins.slice(0, 1).map(ofPoint)].map(height);
    const [low, high] = [height(least[0]), height(least[1])];
    return [Math.min(low, ...heights), Math.max(high, ...heights)];
  }

  #options(): uPlot.Options {
    const soft = (): string => getComputedStyle(this.#keys.train).color;
    const ink = (): string => getComputedStyle(this.#keys.test).color;
    const grid = { stroke: () => getComputedStyle(this.#plot).borderTopColor, width: 1 };
    const axis = { stroke: soft, font: '12px system-ui, sans-serif', grid, ticks: { show: false } };
    const { ticks, height, text } = this.#axis;
    return {
      ...this.#size(),
      legend: { show: false },
      padding: [8, 30, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: {
        x: { time: false, range: () => [0, this.#data.epochs] },
        y: { range: () => this.#range() },
      },
      axes: [
        {
          ...axis,
          size: 28,
          splits: (_, __, ___, max) => {
            const step = max <= 5 ? 1 : max <= 10 ? 2 : 5;
            return Array.from({ length: Math.floor(max / step) + 1 }, (_each, at) => at * step);
          },
          values: (_, splits) =>
            splits.map((at) => (at > 0 && at === splits.at(-1) ? `${at} epochs` : String(at))),
        },
        {
          ...axis,
          size: 52,
          splits: (_, __, min, max) => {
            // A line for each tick that is far enough from the one before.
            const fits: number[] = [];
            for (const tick of ticks.map(height)) {
              const gap = tick - (fits.at(-1) ?? Number.NEGATIVE_INFINITY);
              if (tick >= min - 1e-9 && tick <= max + 1e-9 && gap > (max - min) / 8) fits.push(tick);
            }
            return fits;
          },
          values: (_, splits) =>
            splits.map((at) => text(ticks.find((tick) => Math.abs(height(tick) - at) < 1e-9) ?? 0)),
        },
      ],
      series: [
        {},
        { stroke: soft, alpha: 0.35, width: 1, points: { show: false }, spanGaps: true },
        { stroke: soft, width: 2, points: { show: false }, spanGaps: true },
        { stroke: ink, width: 2, points: { show: true, size: 8, fill: ink }, spanGaps: true },
      ],
      hooks: { setCursor: [({ cursor }) => this.#point(cursor.left)] },
    };
  }
}
