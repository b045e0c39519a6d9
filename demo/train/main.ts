// The training page: sends the worker what the visitor wants, and shows what the worker reports. No network lives here, so nothing here can stall.
import { gpuName, type Kind, readWish } from '../adapter.ts';
import { showCode, showText } from '../view/code.ts';
import { byId, formatCount, formatShare } from '../view/dom.ts';
import { Notice } from '../view/notice.ts';
import { startTheme } from '../view/theme.ts';
import source from './lenet.ts?raw';
import type { Command, Place, Report, Sample, Standing, Test } from './messages.ts';
import { lengthOf, readSettings, type Settings } from './settings.ts';
import { Curves } from './view/curves.ts';
import { Form } from './view/form.ts';
import { Pad } from './view/pad.ts';
import { Panel, type Phase } from './view/panel.ts';
import { showMistakes, showSamples } from './view/pictures.ts';
import { Reading } from './view/reading.ts';
import { failureWarning, fallBackWarning, stuckWarning, unkeptWarning } from './view/words.ts';

/** Milliseconds between two readings of what is on the pad while the network learns. */
const AGAIN = 400;
/** Who guesses has a loss of ln 10 = 2.303; a network that is no better after so many steps will not be. */
const GUESSING = 2.25;
const STUCK_AFTER = 100;

type Of<K extends Report['kind']> = Extract<Report, { kind: K }>;

class Page {
  readonly #worker: Worker;
  readonly #panel: Panel;
  readonly #storage = new Notice('storage');
  readonly #form: Form;
  readonly #curves: Curves;
  readonly #pad: Pad;
  readonly #reading = new Reading();
  #settings: Settings;
  #allowSoftware: boolean;
  #kind: Kind;
  #open = false;
  #place: Place = { step: 0, epoch: 0, offset: 0 };
  #test: Test | undefined;
  /** What is on the pad, and whether the worker is reading it. */
  #subject: { readonly pixels: Uint8Array<ArrayBuffer>; readonly truth: number | undefined } | undefined;
  #reads: 'nothing' | 'this' | 'older' = 'nothing';
  #aloud = false;
  #readAt = 0;
  #stuck = false;
  /** Said until there is other news: the run of the last visit goes on. */
  #resumed = '';

  constructor() {
    const wish = readWish(location.search);
    this.#settings = readSettings(Object.fromEntries(new URLSearchParams(location.search)));
    this.#allowSoftware = wish.allowSoftware;
    this.#kind = wish.device ?? 'gpu';
    this.#panel = new Panel({
      onDevice: (kind) => this.#useDevice(kind),
      onGo: (phase) => this.#go(phase),
      onOver: () => void this.#startOver(),
    });
    this.#panel.phase = 'loading';
    this.#panel.device = this.#kind;
    this.#form = new Form(this.#settings, (settings) => this.#set(settings));
    this.#curves = new Curves(this.#settings);
    this.#pad = new Pad((pixels, done) => this.#read(pixels, undefined, done));
    byId('others', HTMLButtonElement).addEventListener('click', () => this.#send({ kind: 'samples' }));
    void gpuName().then((name) => this.#panel.nameGpu(name ?? 'not available'));

    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    this.#worker.addEventListener('message', ({ data }: MessageEvent<Report>) => this.#hear(data));
    this.#worker.addEventListener('error', ({ message }) =>
      this.#failed({ kind: 'failed', what: 'network', detail: message || 'The worker did not start.' }),
    );
    this.#send({
      kind: 'open',
      root: new URL('mnist/', document.baseURI).href,
      settings: this.#settings,
      device: wish.device,
      allowSoftware: wish.allowSoftware,
    });
    this.#send({ kind: 'samples' });
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) this.#send({ kind: 'keep' });
    });
  }

  #send(command: Command): void {
    this.#worker.postMessage(command);
  }

  #useDevice(device: Kind): void {
    this.#panel.notice.clear();
    this.#panel.say(device === 'gpu' ? 'Moving to the GPU…' : 'Moving to the CPU…');
    this.#send({ kind: 'device', device, allowSoftware: this.#allowSoftware });
  }

  #go(phase: Phase): void {
    if (phase === 'training') {
      this.#panel.say('Stopping…');
      this.#send({ kind: 'stop' });
      return;
    }
    this.#panel.notice.clear();
    if (phase === 'broken' && !this.#open) {
      location.reload();
      return;
    }
    if (phase === 'finished') {
      const epochs = Math.floor(this.#seen() / this.#settings.pictures) + 1;
      this.#form.show({ ...this.#form.settings, epochs });
      this.#set(this.#form.settings);
    }
    this.#send({ kind: 'train' });
  }

  async #startOver(): Promise<void> {
    const steps = `${formatCount(this.#place.step)} ${this.#place.step === 1 ? 'step' : 'steps'}`;
    const sure = await this.#panel.sure(`The network forgets all it learned in ${steps}.`);
    if (!sure) return;
    this.#panel.notice.clear();
    this.#send({ kind: 'restart', settings: this.#form.settings });
  }

  #set(settings: Settings): void {
    if (!this.#open) return;
    if (this.#place.step === 0) {
      this.#send({ kind: 'restart', settings });
      return;
    }
    const { pictures, seed } = this.#settings;
    this.#settings = { ...settings, pictures, seed };
    this.#curves.settings = this.#settings;
    this.#panel.showPlace(this.#place, this.#settings);
    if (this.#panel.phase === 'stopped' || this.#panel.phase === 'finished')
      this.#panel.phase = this.#resting();
    this.#send({ kind: 'set', settings });
  }

  #seen(): number {
    return this.#place.epoch * this.#settings.pictures + this.#place.offset;
  }

  /** What the button offers while nothing runs. */
  #resting(): Phase {
    if (this.#place.step === 0) return 'new';
    return this.#seen() < lengthOf(this.#settings) ? 'stopped' : 'finished';
  }

  #where(): string {
    return this.#kind === 'gpu' ? 'the GPU' : 'the CPU';
  }

  #hear(report: Report): void {
    switch (report.kind) {
      case 'loading':
        this.#loading(report);
        break;
      case 'busy':
        this.#panel.say(report.what);
        break;
      case 'standing':
        this.#stand(report);
        break;
      case 'progress':
        this.#progress(report);
        break;
      case 'testing':
        this.#panel.showTesting(report.done, report.count);
        break;
      case 'tested':
        this.#tested(report);
        break;
      case 'training':
        this.#panel.phase = 'training';
        this.#panel.say(this.#resumed || `Training on ${this.#where()}…`);
        break;
      case 'stopped':
        this.#stopped(report);
        break;
      case 'classified':
        this.#classified(report.probabilities);
        break;
      case 'samples':
        byId('others', HTMLButtonElement).disabled = false;
        showSamples(report.samples, (sample) => this.#pick(sample));
        break;
      case 'refused':
        this.#panel.notice.refuse(report.refusal, () => {
          this.#allowSoftware = true;
          this.#useDevice('gpu');
        });
        break;
      case 'kept':
        this.#panel.showKept('Kept in this browser.');
        break;
      case 'unkept':
        this.#panel.showKept('Not kept.');
        this.#storage.warn(unkeptWarning(report));
        break;
      case 'forgotten':
        this.#storage.warn({
          headline: 'A new network begins.',
          text: 'What the last visit left in this browser could not be used.',
          detail: report.detail,
          failure: false,
        });
        break;
      case 'failed':
        this.#failed(report);
        break;
    }
  }

  #loading({ what, done, total }: Of<'loading'>): void {
    const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
    this.#panel.showDetail(`${megabytes(done)} of ${megabytes(total)} MB`);
    this.#panel.say(done < total ? `Loading the ${what}…` : `Unpacking the ${what}…`);
  }

  #stand({ cause, standing, detail }: Of<'standing'>): void {
    this.#open = true;
    this.#show(standing);
    const { step } = standing.place;
    const after = `step ${formatCount(step)}`;
    const where = this.#where();
    this.#resumed = '';
    this.#stuck = false;
    if (cause === 'resumed' && standing.training) this.#resumed = `Resumed at ${after} on ${where}.`;
    if (cause === 'resumed') this.#panel.say(this.#resumed || `Stopped at ${after}, in your last visit.`);
    else if (cause === 'fresh' || cause === 'restarted')
      this.#panel.say('Ready. The network knows nothing yet.');
    else if (cause === 'diverged') {
      this.#panel.say(`Back at ${after}.`);
      this.#panel.notice.warn({
        headline: 'The training ran away.',
        text: `The loss grew beyond all numbers: the learning rate is too high. The network is back as it was at ${after}. Choose a lower rate, then continue.`,
        detail,
      });
    } else {
      this.#panel.say(standing.training ? `Training on ${where}…` : `On ${where}, at ${after}.`);
      if (cause !== 'switched')
        this.#panel.notice.warn(fallBackWarning(cause, step, detail, () => this.#useDevice('gpu')));
    }
    // A device that went away took its answers with it.
    this.#reads = 'nothing';
    this.#ask();
  }

  #show(standing: Standing): void {
    const { device, settings, place, training, curve, tests, mistakes, repr, graph } = standing;
    this.#kind = device;
    this.#settings = settings;
    this.#place = place;
    this.#test = tests.at(-1);
    this.#panel.device = device;
    this.#panel.phase = training ? 'training' : this.#resting();
    this.#panel.showPlace(place, settings);
    this.#panel.showPace(device, undefined, undefined);
    this.#panel.showTest(this.#test, settings);
    this.#form.show(settings);
    this.#curves.reset(curve, tests, settings);
    this.#panel.showLoss(this.#curves.loss);
    showMistakes(mistakes, this.#test, (sample) => this.#pick(sample));
    showText(byId('repr', HTMLElement), repr);
    byId('graph', HTMLElement).innerHTML = graph;
  }

  #progress({ place, points, rate, secondsLeft }: Of<'progress'>): void {
    this.#place = place;
    this.#curves.add(points);
    this.#panel.showPlace(place, this.#settings);
    this.#panel.showPace(this.#kind, rate, secondsLeft);
    const loss = this.#curves.loss;
    this.#panel.showLoss(loss);
    if (!this.#stuck && place.step >= STUCK_AFTER && loss !== undefined && loss > GUESSING) {
      this.#stuck = true;
      this.#panel.notice.warn(stuckWarning(this.#settings.learningRate));
    }
    if (performance.now() - this.#readAt > AGAIN) this.#ask();
  }

  #tested({ test, mistakes }: Of<'tested'>): void {
    this.#test = test;
    this.#curves.addTest(test);
    this.#panel.showTest(test, this.#settings);
    this.#panel.showPlace(this.#place, this.#settings);
    showMistakes(mistakes, test, (sample) => this.#pick(sample));
    this.#resumed = '';
    const epochs = (test.seen / this.#settings.pictures).toFixed(2);
    this.#panel.say(
      `After ${epochs} epochs ${formatShare(test.right / test.count, 2)} of the test digits are right.`,
    );
    this.#ask();
  }

  #stopped({ finished }: Of<'stopped'>): void {
    this.#resumed = '';
    this.#panel.showLeft(undefined);
    this.#panel.phase = this.#resting();
    this.#panel.showPlace(this.#place, this.#settings);
    const result =
      this.#test === undefined ? '' : `: ${formatShare(this.#test.right / this.#test.count, 2)} right`;
    this.#panel.say(
      finished ? `Done on ${this.#where()}${result}.` : `Stopped at step ${formatCount(this.#place.step)}.`,
    );
    this.#ask();
  }

  #failed(report: Of<'failed'>): void {
    this.#panel.phase = 'broken';
    this.#panel.say('The training cannot go on.');
    this.#panel.notice.warn(failureWarning(report));
  }

  #pick(sample: Sample): void {
    this.#pad.lay(sample.pixels, `a test digit ${sample.truth}`);
    this.#read(sample.pixels, sample.truth, true);
    byId('draw-title', HTMLHeadingElement).scrollIntoView({ block: 'nearest' });
  }

  #read(pixels: Uint8Array<ArrayBuffer> | undefined, truth: number | undefined, done: boolean): void {
    this.#subject = pixels === undefined ? undefined : { pixels, truth };
    if (this.#reads === 'this') this.#reads = 'older';
    if (this.#subject === undefined) this.#reading.clear();
    else this.#ask(done);
  }

  /** Asks for a reading of what is on the pad; one question at a time, the newest picture next. */
  #ask(aloud = false): void {
    this.#aloud ||= aloud;
    if (this.#subject === undefined || this.#reads !== 'nothing' || !this.#open) return;
    this.#reads = 'this';
    this.#readAt = performance.now();
    this.#send({ kind: 'classify', pixels: this.#subject.pixels });
  }

  #classified(probabilities: Float32Array): void {
    const current = this.#reads === 'this';
    this.#reads = 'nothing';
    if (this.#subject === undefined) return;
    if (!current) {
      this.#ask();
      return;
    }
    this.#reading.show(probabilities, this.#subject, this.#aloud);
    this.#aloud = false;
  }
}

startTheme();
showCode(byId('source', HTMLElement), source.trim());
new Page();
