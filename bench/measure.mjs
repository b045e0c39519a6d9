// The measuring side of one contender: in its own page, or in its own Node process. It does what the driver (run.mjs) asks, one question at a time, so
// that only one contender works at any moment.
import { distance, TOLERANCE } from './reference.mjs';
import { inputsOf, sampled } from './works.mjs';

/** A sample lasts at least that long, in ms, so that the clock's grain and the wait at its end weigh little. */
const SAMPLE_MS = 8;
const WARM_MS = 200;
/** Runs of a sample of encoding: the clock is coarser than one of them. */
const ENCODINGS = 40;
/** The mean goes over so many of them: what interrupted the others was another process. */
const CALM = 30;
/** A run that takes longer, ms, is not warmed up further: it would only take time. */
const SLOW_MS = 700;

const OPENERS = {
  webgluon: () => import('./contenders/webgluon.mjs'),
  tfjs: () => import('./contenders/tfjs.mjs'),
  ort: () => import('./contenders/ort.mjs'),
  jax: () => import('./contenders/jax.mjs'),
  bare: () => import('./contenders/bare.mjs'),
};

const pick = (values) => sampled(values.length).map((i) => values[i]);

/** When the last command buffer was handed over: the end of the host's share of work on a GPU. */
let submitted = 0;

function watchSubmits() {
  const prototype = globalThis.GPUQueue?.prototype;
  if (prototype === undefined) return;
  const { submit } = prototype;
  prototype.submit = function (...args) {
    submit.apply(this, args);
    submitted = performance.now();
  };
}

async function adapterOf() {
  const adapter = await globalThis.navigator?.gpu?.requestAdapter();
  if (!adapter) return undefined;
  const { vendor, architecture, device, description } = adapter.info;
  return [vendor, architecture, device, description].filter(Boolean).join(' ') || 'an adapter without a name';
}

export function makeHost() {
  let contender;
  let gpu = false;
  let job;
  let work;
  let inner = 1;
  /** Whether a single run takes very long. */
  let slow = false;
  /** What the last run that was checked took, ms. */
  let checking = 0;

  /** What encoding takes: the calls alone. Submits stand between them, outside the clock; the wait at the end. */
  async function encoding() {
    const times = [];
    for (let i = 0; i < ENCODINGS; i++) {
      const begin = performance.now();
      job.run();
      times.push(performance.now() - begin);
      job.submit?.();
      // what submits by itself does so when the turn ends
      await undefined;
    }
    await job.wait();
    times.sort((a, b) => a - b);
    const calm = times.slice(0, CALM);
    return calm.reduce((a, b) => a + b, 0) / CALM;
  }

  /** One sample: `inner` runs and the wait for the last; ms a run. */
  async function sample() {
    if (work.kind === 'replay') return encoding();
    const begin = performance.now();
    for (let i = 0; i < inner; i++) {
      const pending = job.run();
      if (pending !== undefined) await pending;
    }
    const called = performance.now();
    const pending = job.wait?.();
    if (pending !== undefined) await pending;
    const end = work.kind === 'op' && gpu ? Math.max(called, submitted) : performance.now();
    return (end - begin) / inner / (job.repeat ?? 1);
  }

  /** What is compared: the first losses of training, or elements of the result. */
  async function check() {
    if (work.kind === 'op') return undefined;
    inner = 1;
    if (work.kind !== 'train') {
      checking = await sample();
      // the first run may have compiled: what takes long is asked once more
      if (checking > SLOW_MS) checking = await sample();
      slow = checking > SLOW_MS;
      return pick(await job.output());
    }
    const losses = [];
    for (let i = 0; i < work.checked; i++) {
      checking = await sample();
      slow = checking > SLOW_MS;
      losses.push(await job.loss());
      // the first two may have compiled
      if (slow && i >= 2) break;
    }
    return losses;
  }

  return {
    async open({ library, backend, ...options }) {
      watchSubmits();
      gpu = backend === 'webgpu' || backend === 'gpu';
      const { open } = await OPENERS[library]();
      contender = await open({ backend, ...options });
      return {
        missing: contender.missing,
        adapter: gpu ? await adapterOf() : undefined,
      };
    },

    /**
     * Makes a work's job, runs it until it is warm, and gives what is to be compared with `expected`.
     */
    async prepare(wanted, expected) {
      work = wanted;
      slow = false;
      const lack = contender.lacks?.(work);
      if (lack !== undefined) return { lack };
      const begin = performance.now();
      const isRight = (values) => expected === undefined || distance(pick(values), expected) <= TOLERANCE;
      job = await contender.prepare(work, inputsOf(work), isRight);
      const values = await check();
      const first = performance.now() - begin;
      if (slow) return { first, values, note: job.note, slow, checking };
      if (work.kind === 'op' || work.kind === 'replay') {
        inner = work.calls > 1 ? 4 : 256;
        const warm = performance.now();
        while (performance.now() - warm < WARM_MS) await sample();
        return { first, values, note: job.note };
      }
      let times = [];
      const warm = performance.now();
      do times.push(await sample());
      while (performance.now() - warm < WARM_MS || times.length < 2);
      times = times.slice(-5).sort((a, b) => a - b);
      const once = times[times.length >> 1] * (job.repeat ?? 1);
      // few results are kept alive where they are large
      const most = Math.max(1, Math.min(400, Math.floor(2 ** 28 / (work.bytes ?? 1))));
      inner = Math.max(1, Math.min(most, Math.round(SAMPLE_MS / Math.max(once, 1e-3))));
      await sample();
      return { first, values, note: job.note };
    },

    /** Samples for about `budget` ms, one at least; ms a run. */
    async measure(budget, most) {
      const times = [];
      const begin = performance.now();
      do times.push(await sample());
      while (times.length < most && performance.now() - begin < budget);
      return times.map((t) => (work.calls === undefined ? t : (1000 * t) / work.calls));
    },

    async finish() {
      await job?.dispose();
      job = undefined;
    },
  };
}
