// The worker's one loop: commands of the page, then a step or a test, then commands again. Everything that touches the device happens here, one thing
// after the other, so that no command finds a step half done.
import { type Context, cpu, DeviceLostError } from 'webgluon';
import type { Kind } from '../adapter.ts';
import type { Pictures } from '../data.ts';
import {
  type Begun,
  begin,
  beginAnew,
  breathe,
  DataError,
  load,
  openContext,
  type Post,
  sleep,
  textOf,
} from './begin.ts';
import { Clock } from './clock.ts';
import { Curve, type Point } from './curve.ts';
import { DivergedError, Learner, pictureAt } from './learner.ts';
import type { Cause, Command, Mistake, Sample, Test } from './messages.ts';
import { lengthOf, type Settings, testPictures } from './settings.ts';
import { type Checkpoint, VERSION } from './store.ts';
import type { Vault } from './vault.ts';

/** Milliseconds between reports of progress: often enough for the eye. */
const REPORT = 100;
/** Milliseconds between checkpoints: what a crash may cost. */
const KEEP = 3000;
/** Tests in an epoch of so many pictures; a shorter epoch has one at its end. */
const TESTS = 4;
const MANY = 60_000;

/** Commands that a test lets through; the others end it. */
const QUICK: ReadonlySet<Command['kind']> = new Set(['classify', 'samples', 'set', 'keep']);

interface Parts extends Begun {
  readonly root: string;
  readonly wanted: Kind;
  readonly test: Pictures;
}

export class Session {
  readonly #post: Post;
  readonly #vault: Vault;
  readonly #root: string;
  readonly #clock = new Clock();
  #commands: Command[] = [];
  #wake: (() => void) | undefined;
  #learner: Learner;
  #wanted: Kind;
  #training = false;
  #testDue = false;
  #test: Pictures;
  #train: Pictures | undefined;
  #curve = new Curve();
  #tests: readonly Test[] = [];
  #mistakes: readonly Mistake[] = [];
  /** Where to go back to when a device or a loss goes astray. */
  #last: Checkpoint;
  #lost: DeviceLostError | undefined;
  /** Points that the page does not know yet. */
  #news: Point[] = [];
  #reportedAt = 0;
  #keptAt = 0;
  #sampled = 0;

  private constructor(post: Post, vault: Vault, { root, wanted, test, learner, checkpoint }: Parts) {
    this.#post = post;
    this.#vault = vault;
    this.#root = root;
    this.#wanted = wanted;
    this.#test = test;
    this.#learner = learner;
    this.#last = checkpoint;
    this.#take(checkpoint);
    this.#training = checkpoint.training;
    this.#watch();
  }

  /** Loads the test pictures, opens the device, and takes up the run of the last visit where there is one. */
  static async open(command: Extract<Command, { kind: 'open' }>, vault: Vault, post: Post): Promise<Session> {
    const { root } = command;
    const [test, kept] = await Promise.all([load(root, 't10k', post), vault.read()]);
    const wanted = command.device ?? kept?.device ?? 'gpu';
    const ctx = await openContext(wanted, command.allowSoftware, post);
    post({ kind: 'busy', what: 'Building the network…' });
    const begun = await begin(ctx, kept, kept?.settings ?? command.settings, wanted);
    const session = new Session(post, vault, { ...begun, root, wanted, test });
    const { failure, learner, checkpoint } = begun;
    if (kept !== undefined && checkpoint !== kept) await vault.forget(textOf(failure));
    if (learner.ctx !== ctx) session.#stand('fellBack', textOf(failure));
    else session.#stand(checkpoint === kept && kept.place.step > 0 ? 'resumed' : 'fresh');
    return session;
  }

  command(command: Command): void {
    this.#commands.push(command);
    this.#wake?.();
  }

  /** Runs as long as the worker does. */
  async run(): Promise<never> {
    for (;;) {
      try {
        await this.#obey();
        this.#checkLoss();
        if (!this.#training) await this.#idle();
        else if (this.#testDue) await this.#runTest();
        else if (this.#left() <= 0) await this.#stop(true);
        else await this.#step();
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  async #idle(): Promise<void> {
    if (this.#commands.length > 0) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }

  /** Does what the page asked for so far, up to the first command that is not `allowed`. */
  async #obey(allowed?: ReadonlySet<Command['kind']>): Promise<void> {
    for (;;) {
      const next = this.#commands[0];
      if (next === undefined || allowed?.has(next.kind) === false) return;
      this.#commands.shift();
      await this.#do(next);
    }
  }

  async #do(command: Command): Promise<void> {
    switch (command.kind) {
      case 'train':
        this.#training = true;
        return this.#post({ kind: 'training' });
      case 'stop':
        return this.#stop(false);
      case 'set':
        this.#learner.settings = command.settings;
        return;
      case 'device':
        this.#wanted = command.device;
        return this.#move(await openContext(command.device, command.allowSoftware, this.#post));
      case 'restart':
        return this.#restart(command.settings);
      case 'classify':
        return this.#post({
          kind: 'classified',
          probabilities: await this.#learner.classify(command.pixels),
        });
      case 'samples':
        return this.#post({ kind: 'samples', samples: this.#samples() });
      case 'keep':
        return this.#keep();
      case 'open':
        throw new Error('The session is open already.');
    }
  }

  async #stop(finished: boolean): Promise<void> {
    this.#report(await this.#learner.flush(), true);
    this.#training = false;
    await this.#keep();
    this.#post({ kind: 'stopped', finished });
  }

  async #step(): Promise<void> {
    this.#train ??= await load(this.#root, 'train', this.#post);
    const first = !this.#clock.warm;
    if (first && this.#learner.ctx.deviceType === 'gpu')
      this.#post({ kind: 'busy', what: 'Compiling the shaders…' });
    const before = this.#learner.seen;
    const started = performance.now();
    const points = await this.#learner.step(this.#train);
    await breathe();
    const { seen } = this.#learner;
    this.#clock.step(seen - before, performance.now() - started);
    if (first) this.#post({ kind: 'training' });
    const every = this.#testEvery();
    this.#testDue = Math.floor(seen / every) > Math.floor(before / every);
    if (this.#testDue) points.push(...(await this.#learner.flush()));
    this.#report(points, this.#testDue);
    if (!this.#testDue && performance.now() - this.#keptAt > KEEP) await this.#keep();
  }

  async #runTest(): Promise<void> {
    const started = performance.now();
    const count = Math.min(testPictures(this.#learner.settings.pictures), this.#test.count);
    const result = await this.#learner.test(this.#test, count, async (done) => {
      this.#post({ kind: 'testing', done, count });
      await breathe();
      await this.#obey(QUICK);
      return this.#commands.length === 0;
    });
    if (result === undefined) return;
    this.#clock.testing = performance.now() - started;
    this.#testDue = false;
    this.#tests = [...this.#tests, result.test];
    this.#mistakes = result.mistakes;
    this.#post({ kind: 'tested', ...result });
    await this.#keep();
  }

  /** Pictures from one test to the next. */
  #testEvery(): number {
    const { pictures } = this.#learner.settings;
    return pictures < MANY ? pictures : pictures / TESTS;
  }

  /** Pictures until the end of the run. */
  #left(): number {
    return lengthOf(this.#learner.settings) - this.#learner.seen;
  }

  #report(points: readonly Point[], now = false): void {
    for (const point of points) this.#curve.add(point);
    this.#news.push(...points);
    if (!now && performance.now() - this.#reportedAt < REPORT) return;
    this.#reportedAt = performance.now();
    const { place, learningRate } = this.#learner;
    const left = Math.max(0, this.#left());
    this.#post({
      kind: 'progress',
      place,
      points: this.#news,
      learningRate,
      rate: this.#clock.rate,
      secondsLeft: this.#clock.secondsLeft(left, Math.ceil(left / this.#testEvery())),
    });
    this.#news = [];
  }

  /** Takes a checkpoint, in memory and, where the browser lets us, for the next visit. */
  async #keep(): Promise<void> {
    this.#report(await this.#learner.flush());
    this.#last = {
      ...(await this.#learner.knowledge()),
      version: VERSION,
      settings: this.#learner.settings,
      device: this.#wanted,
      training: this.#training,
      place: this.#learner.place,
      curve: this.#curve.data,
      tests: this.#tests,
      mistakes: this.#mistakes,
    };
    await this.#vault.write(this.#last);
    this.#keptAt = performance.now();
  }

  /** The same run on another device. */
  async #move(ctx: Context): Promise<void> {
    if (ctx !== this.#learner.ctx) {
      await this.#keep();
      await this.#backTo(ctx, this.#last);
    }
    this.#stand('switched');
  }

  async #restart(settings: Settings): Promise<void> {
    const { learner, checkpoint } = await beginAnew(this.#learner.ctx, settings, this.#wanted);
    this.#replace(learner);
    this.#training = false;
    this.#take(checkpoint);
    await this.#vault.write(checkpoint);
    this.#stand('restarted');
  }

  /** Makes the learner anew on a device, as it was at a checkpoint. */
  async #backTo(ctx: Context, checkpoint: Checkpoint): Promise<void> {
    this.#replace(await Learner.make(ctx, checkpoint.settings, checkpoint.place, checkpoint));
    this.#take(checkpoint);
  }

  #replace(learner: Learner): void {
    try {
      this.#learner.dispose();
    } catch {
      // On a lost device there is nothing left to give back.
    }
    this.#learner = learner;
    this.#clock.reset();
    this.#watch();
  }

  /** Takes over all of a checkpoint but the network itself. */
  #take(checkpoint: Checkpoint): void {
    this.#last = checkpoint;
    this.#curve = new Curve(checkpoint.curve);
    this.#news = [];
    this.#tests = checkpoint.tests;
    this.#mistakes = checkpoint.mistakes;
    this.#keptAt = performance.now();
    // The page may have gone away during the test at the end.
    const { seen } = this.#learner;
    this.#testDue = seen > 0 && this.#left() <= 0 && this.#tests.at(-1)?.seen !== seen;
  }

  async #recover(error: unknown): Promise<void> {
    const onGpu = this.#learner.ctx.deviceType === 'gpu';
    try {
      if (error instanceof DivergedError) {
        this.#training = false;
        await this.#backTo(this.#learner.ctx, this.#last);
        this.#stand('diverged', textOf(error));
      } else if (onGpu && !(error instanceof DataError)) {
        // A device may fail a read just before it says that it is lost.
        await Promise.race([this.#learner.ctx.lost, sleep(100)]);
        const lost = error instanceof DeviceLostError ? error : this.#lost;
        this.#lost = undefined;
        await this.#backTo(cpu(), this.#last);
        this.#wanted = 'cpu';
        this.#stand(lost === undefined ? 'fellBack' : 'lost', textOf(lost ?? error));
      } else throw error;
    } catch (reason) {
      this.#training = false;
      const what = reason instanceof DataError ? 'data' : 'network';
      this.#post({ kind: 'failed', what, detail: textOf(reason) });
    }
  }

  /** A GPU may also go away while nothing waits for it. */
  #watch(): void {
    const { ctx } = this.#learner;
    if (ctx.deviceType !== 'gpu') return;
    void ctx.lost.then(({ message }) => {
      this.#lost = new DeviceLostError(message);
      this.#wake?.();
    });
  }

  #checkLoss(): void {
    const lost = this.#lost;
    this.#lost = undefined;
    if (lost !== undefined && this.#learner.ctx.deviceType === 'gpu') throw lost;
  }

  #stand(cause: Cause, detail?: string): void {
    const { place, settings, repr, graph, ctx } = this.#learner;
    this.#post({
      kind: 'standing',
      cause,
      detail,
      standing: {
        device: ctx.deviceType === 'gpu' ? 'gpu' : 'cpu',
        settings,
        place,
        training: this.#training,
        curve: this.#curve.data,
        tests: this.#tests,
        mistakes: this.#mistakes,
        repr,
        graph,
      },
    });
  }

  /** One test picture of each digit, the next ones at every call. */
  #samples(): Sample[] {
    const round = this.#sampled++;
    return Array.from({ length: 10 }, (_, digit) => {
      const all = [...this.#test.labels.keys()].filter((index) => this.#test.labels[index] === digit);
      const index = all[round % all.length] ?? 0;
      return { index, truth: digit, pixels: pictureAt(this.#test, index) };
    });
  }
}
