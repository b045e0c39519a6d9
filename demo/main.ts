// The page: fetches pictures and weights, opens a device, runs the network over the pictures and keeps the views up to date.
import { type Context, cpu, DeviceLostError, type nn } from 'webgluon';
import { gpuName, type Kind, readWish } from './adapter.ts';
import { CLASSES, dealtOrder, fetchBytes, fetchPictures, type Pictures } from './data.ts';
import { openDevice } from './devices.ts';
import { openLenet } from './lenet.ts';
import source from './lenet.ts?raw';
import { runAll, warmUp } from './run.ts';
import { type Filter, Score } from './score.ts';
import { showCode, showText } from './view/code.ts';
import { Confusion } from './view/confusion.ts';
import { Detail } from './view/detail.ts';
import { byId, formatCount } from './view/dom.ts';
import { Panel } from './view/panel.ts';
import { addClasses, Sheet } from './view/sheet.ts';
import { startTheme } from './view/theme.ts';

const FOLDER = 'crash-course';

class Demo {
  readonly #pictures: Pictures;
  readonly #weights: Uint8Array<ArrayBuffer>;
  readonly #panel: Panel;
  readonly #sheet: Sheet;
  readonly #detail: Detail;
  readonly #confusion: Confusion;
  readonly #order: readonly number[];
  readonly #filters = byId('filters', HTMLFormElement);
  #score: Score;
  #chosen: number;
  #allowSoftware: boolean;
  #device: Kind = 'cpu';
  #stop = new AbortController();
  /** The run before: the next begins when it has let go of the device. */
  #running: Promise<void> = Promise.resolve();
  #watched: Context | undefined;

  constructor(pictures: Pictures, weights: Uint8Array<ArrayBuffer>, panel: Panel, allowSoftware: boolean) {
    this.#pictures = pictures;
    this.#weights = weights;
    this.#panel = panel;
    this.#allowSoftware = allowSoftware;
    this.#order = dealtOrder(pictures.labels);
    this.#chosen = this.#order[0] ?? 0;
    this.#score = new Score(pictures.labels);
    this.#detail = new Detail(pictures);
    this.#confusion = new Confusion(({ truth, said }) => {
      this.#setFilter({ verdict: 'all', truth, said });
      byId('pictures', HTMLElement).scrollIntoView();
      this.#chooseFirst();
    });
    this.#sheet = new Sheet({
      pictures,
      order: this.#order,
      onChoose: (index) => {
        this.#chosen = index;
        this.#detail.show(index, this.#score);
      },
    });
    this.#sheet.update(this.#score, this.#order);
    this.#sheet.choose(this.#chosen);
    this.#startFilters();
  }

  /** Runs on the device named, from the beginning; whatever ran before is stopped. */
  start(kind: Kind): void {
    this.#panel.device = kind;
    this.#panel.clearNotice();
    this.#stop.abort();
    const stop = new AbortController();
    this.#stop = stop;
    const before = this.#running;
    this.#running = before
      .then(() => (stop.signal.aborted ? undefined : this.#run(kind, stop.signal)))
      .catch((error: unknown) => {
        if (!stop.signal.aborted) this.#failed(kind, error);
      });
  }

  again(): void {
    this.start(this.#device);
  }

  async #run(wanted: Kind, signal: AbortSignal): Promise<void> {
    this.#panel.say(wanted === 'gpu' ? 'Opening the GPU…' : 'Getting ready on the CPU…');
    const opening = await openDevice(wanted, this.#allowSoftware);
    if (signal.aborted) return;
    if (opening.refusal !== undefined) {
      this.#panel.nameGpu((await gpuName()) ?? 'not available');
      this.#panel.refuse(opening.refusal, () => {
        this.#allowSoftware = true;
        this.start('gpu');
      });
    }
    const ctx = opening.ctx ?? cpu();
    const kind: Kind = ctx.deviceType === 'gpu' ? 'gpu' : 'cpu';
    this.#device = kind;
    this.#panel.device = kind;
    if (kind === 'gpu') {
      this.#panel.nameGpu((await gpuName()) ?? 'a GPU that gives no name');
      this.#watch(ctx);
    }

    this.#score = new Score(this.#pictures.labels);
    this.#refresh(this.#order, undefined);
    const net = await openLenet(this.#weights, ctx);
    try {
      this.#describe(net);
      const where = kind === 'gpu' ? 'the GPU' : 'the CPU';
      const work = { net, ctx, pictures: this.#pictures, order: this.#order };
      this.#panel.say(kind === 'gpu' ? 'Compiling the shaders…' : 'Warming up the CPU…');
      await warmUp(work);
      this.#panel.say(`Classifying on ${where}…`);
      let rate = 0;
      await runAll({
        ...work,
        signal,
        onBatch: ({ indices, probabilities, done, seconds }) => {
          this.#score.take(indices, probabilities);
          rate = done / seconds;
          this.#refresh(indices, rate);
        },
      });
      this.#finish(kind, where, rate);
    } finally {
      net.dispose();
    }
  }

  #finish(kind: Kind, where: string, rate: number): void {
    const { right, done } = this.#score;
    this.#panel.showRate(kind, rate);
    this.#confusion.update(this.#score);
    this.#applyFilter();
    this.#panel.say(`Done on ${where}: ${right} of ${done} right, ${formatCount(rate)} images per second.`);
    document.documentElement.dataset['done'] = kind;
  }

  /** Brings figures and pictures up to date. */
  #refresh(indices: readonly number[], rate: number | undefined): void {
    delete document.documentElement.dataset['done'];
    const { done, right } = this.#score;
    this.#panel.show(this.#score, rate);
    this.#sheet.update(this.#score, indices);
    byId('wrong-count', HTMLSpanElement).textContent = done === 0 ? '' : String(done - right);
    byId('right-count', HTMLSpanElement).textContent = done === 0 ? '' : String(right);
    if (indices.includes(this.#chosen)) this.#detail.show(this.#chosen, this.#score);
    this.#sheet.filter(this.#score, this.#filter());
  }

  #failed(kind: Kind, error: unknown): void {
    const detail = error instanceof Error ? error.message : String(error);
    if (kind === 'gpu') {
      // The page stays useful: whatever the GPU did, the CPU can go on.
      this.#device = 'cpu';
      this.start('cpu');
      this.#panel.warn({
        headline: 'The CPU does the work.',
        text: error instanceof DeviceLostError ? 'The GPU went away.' : 'The GPU could not run the network.',
        detail,
        action: { label: 'Try the GPU again', run: () => this.start('gpu') },
      });
      return;
    }
    this.#panel.say('The run ended early.');
    this.#panel.warn({
      headline: 'The network could not run.',
      text: 'Something went wrong on the CPU.',
      detail,
      action: { label: 'Try again', run: () => this.start(kind) },
    });
  }

  /** A GPU may also go away between runs. */
  #watch(ctx: Context): void {
    if (this.#watched === ctx) return;
    this.#watched = ctx;
    void ctx.lost.then(({ message }) => {
      this.#watched = undefined;
      if (this.#device === 'gpu') this.#failed('gpu', new DeviceLostError(message));
    });
  }

  #describe(net: nn.Sequential): void {
    showText(byId('repr', HTMLElement), String(net));
    let values = 0;
    for (const parameter of net.collectParams().values())
      values += (parameter.shape ?? []).reduce((product, length) => product * length, 1);
    byId('size', HTMLParagraphElement).textContent =
      `${formatCount(values)} weights, ${formatCount(this.#weights.length / 1024)} KiB of .params.`;
  }

  #startFilters(): void {
    addClasses(byId('truth', HTMLSelectElement));
    addClasses(byId('said', HTMLSelectElement));
    this.#filters.addEventListener('submit', (event) => event.preventDefault());
    this.#filters.addEventListener('change', () => {
      this.#sheet.names = byId('names', HTMLInputElement).checked;
      this.#applyFilter();
      this.#sheet.scrollToTop();
    });
    byId('clear', HTMLButtonElement).addEventListener('click', () => {
      this.#setFilter({ verdict: 'all', truth: undefined, said: undefined });
      this.#chooseFirst();
    });
    // The browser may have kept the choices of the last visit.
    this.#sheet.names = byId('names', HTMLInputElement).checked;
    this.#applyFilter();
  }

  #filter(): Filter {
    const data = new FormData(this.#filters);
    const label = (name: string): number | undefined => {
      const value = data.get(name);
      return typeof value === 'string' && value !== '' ? Number(value) : undefined;
    };
    const verdict = data.get('verdict');
    return {
      verdict: verdict === 'wrong' || verdict === 'right' ? verdict : 'all',
      truth: label('truth'),
      said: label('said'),
    };
  }

  #setFilter({ verdict, truth, said }: Filter): void {
    for (const input of this.#filters.querySelectorAll<HTMLInputElement>('input[name="verdict"]'))
      input.checked = input.value === verdict;
    byId('truth', HTMLSelectElement).value = truth === undefined ? '' : String(truth);
    byId('said', HTMLSelectElement).value = said === undefined ? '' : String(said);
    this.#applyFilter();
    this.#sheet.scrollToTop();
  }

  /** After a choice or a run, not at every batch: the count is a live region, which speaks whenever it is written. */
  #applyFilter(): void {
    const shown = this.#sheet.filter(this.#score, this.#filter());
    byId('empty', HTMLParagraphElement).hidden = shown > 0;
    const text = `${formatCount(shown)} shown`;
    const output = byId('shown', HTMLParagraphElement);
    if (output.textContent !== text) output.textContent = text;
  }

  #chooseFirst(): void {
    const filter = this.#filter();
    const first = this.#order.find((index) => this.#score.shows(index, filter));
    if (first !== undefined) this.#sheet.choose(first, true);
  }
}

async function main(): Promise<void> {
  startTheme();
  showCode(byId('source', HTMLElement), source.trim());
  const wish = readWish(location.search);
  let demo: Demo | undefined;
  const panel = new Panel({
    onDevice: (kind) => demo?.start(kind),
    onAgain: () => (demo === undefined ? location.reload() : demo.again()),
  });
  panel.device = wish.device ?? 'gpu';
  if (wish.device === 'cpu') void gpuName().then((name) => panel.nameGpu(name ?? 'not available'));
  try {
    const [pictures, weights] = await Promise.all([
      fetchPictures(FOLDER),
      fetchBytes(`${FOLDER}/lenet-fashionmnist.params`),
    ]);
    if (pictures.labels.some((label) => label >= CLASSES.length)) throw new Error('A label is out of range.');
    demo = new Demo(pictures, weights, panel, wish.allowSoftware);
    demo.start(wish.device ?? 'gpu');
  } catch (error) {
    panel.say('There is nothing to classify.');
    panel.warn({
      headline: 'The page could not load its files.',
      text: error instanceof Error ? error.message : String(error),
      action: { label: 'Try again', run: () => location.reload() },
    });
  }
}

void main();
