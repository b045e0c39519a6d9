// The two charts and the table of the tests, drawn at most once for each picture of the screen.
import { byId, formatCount, formatShare, make } from '../../view/dom.ts';
import { Curve, type CurveData, type Point } from '../curve.ts';
import type { Test } from '../messages.ts';
import type { Settings } from '../settings.ts';
import { type Axis, Chart, runningMean } from './chart.ts';

export function formatLoss(loss: number): string {
  return loss < 0.1 ? loss.toFixed(4) : loss.toFixed(3);
}

const LOSS: Axis = {
  ofPoint: ({ loss }) => loss,
  ofTest: ({ loss }) => loss,
  height: (loss) => Math.log10(Math.max(loss, 1e-5)),
  ticks: [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100,
  ],
  least: [0.1, 2.5],
  text: (loss) => String(Number(loss.toPrecision(2))),
};

/** In nines: from 90 % to 99 % it is as far as from 99 % to 99.9 %, because it is as hard. */
const ACCURACY: Axis = {
  ofPoint: ({ accuracy }) => accuracy,
  ofTest: ({ right, count }) => right / count,
  // A batch of 64 that is all right does not mean 100 %: half a mistake fewer than it could have shown.
  ofBatch: ({ accuracy, count }) => Math.min(accuracy, 1 - 0.5 / count),
  height: (accuracy) => -Math.log10(Math.max(1 - accuracy, 2e-4)),
  ticks: [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999],
  least: [0, 0.99],
  text: (accuracy) => `${Number((100 * accuracy).toFixed(2))} %`,
};

export class Curves {
  readonly #charts = [
    new Chart('loss-chart', 'Loss', LOSS),
    new Chart('accuracy-chart', 'Accuracy', ACCURACY),
  ];
  readonly #table = byId('tests', HTMLTableSectionElement);
  readonly #none = [...this.#table.children];
  #curve = new Curve();
  #tests: readonly Test[] = [];
  #settings: Settings;
  #due = false;
  #describe = false;

  constructor(settings: Settings) {
    this.#settings = settings;
    const recolour = (): void => {
      // After the stylesheet has had its turn.
      requestAnimationFrame(() => {
        for (const chart of this.#charts) chart.redraw();
      });
    };
    byId('theme', HTMLFieldSetElement).addEventListener('change', recolour);
    for (const query of ['(prefers-color-scheme: dark)', '(forced-colors: active)'])
      matchMedia(query).addEventListener('change', recolour);
    this.#later();
  }

  /** Starts anew from what a checkpoint holds. */
  reset(data: CurveData, tests: readonly Test[], settings: Settings): void {
    this.#curve = new Curve(data);
    this.#tests = tests;
    this.#settings = settings;
    this.#list();
    this.#later(true);
  }

  add(points: readonly Point[]): void {
    for (const point of points) this.#curve.add(point);
    if (points.length > 0) this.#later();
  }

  addTest(test: Test): void {
    this.#tests = [...this.#tests, test];
    this.#list();
    this.#later(true);
  }

  /** The number of epochs is the charts' width. */
  set settings(settings: Settings) {
    const { pictures } = this.#settings;
    this.#settings = { ...settings, pictures };
    this.#later();
  }

  /** The running mean of the loss, as the chart shows it. */
  get loss(): number | undefined {
    const { pictures, epochs } = this.#settings;
    return runningMean(this.#curve.bins, LOSS.ofPoint, pictures * epochs).at(-1);
  }

  #later(describe = false): void {
    this.#describe ||= describe;
    if (this.#due) return;
    this.#due = true;
    const draw = (): void => {
      this.#due = false;
      const { pictures, epochs } = this.#settings;
      for (const chart of this.#charts)
        chart.show({ bins: this.#curve.bins, tests: this.#tests, pictures, epochs });
      if (this.#describe) for (const chart of this.#charts) chart.describe();
      this.#describe = false;
    };
    // A tab that nobody sees draws nothing; it draws when it is seen again.
    requestAnimationFrame(draw);
  }

  #list(): void {
    const { pictures } = this.#settings;
    if (this.#tests.length === 0) {
      this.#table.replaceChildren(...this.#none);
      return;
    }
    this.#table.replaceChildren(
      ...this.#tests.map(({ seen, step, loss, right, count }) => {
        const row = make('tr');
        const cells = [
          (seen / pictures).toFixed(2),
          formatCount(step),
          formatLoss(loss),
          `${formatCount(right)} of ${formatCount(count)}`,
          formatShare(right / count, 2),
        ];
        row.append(...cells.map((text) => make('td', '', text)));
        return row;
      }),
    );
  }
}
