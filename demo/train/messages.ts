// What the page and the worker say to each other. Both sides check these types; nothing else crosses.
import type { Kind } from '../adapter.ts';
import type { Refusal } from '../devices.ts';
import type { CurveData, Point } from './curve.ts';
import type { Settings } from './settings.ts';

/** What the page asks for. */
export type Command =
  /** The first: where the data lies, which device is wanted (undefined: that of the last visit, else a GPU), what to do if nothing was kept. */
  | {
      readonly kind: 'open';
      readonly root: string;
      readonly settings: Settings;
      readonly device: Kind | undefined;
      readonly allowSoftware: boolean;
    }
  | { readonly kind: 'train' }
  | { readonly kind: 'stop' }
  /** Takes effect at the next step; the number of pictures and the seed only when starting over. */
  | { readonly kind: 'set'; readonly settings: Settings }
  | { readonly kind: 'device'; readonly device: Kind; readonly allowSoftware: boolean }
  | { readonly kind: 'restart'; readonly settings: Settings }
  | { readonly kind: 'classify'; readonly pixels: Uint8Array<ArrayBuffer> }
  /** One test picture of each digit, others at each call. */
  | { readonly kind: 'samples' }
  /** The page is about to go away. */
  | { readonly kind: 'keep' };

/** A picture of the test set. */
export interface Sample {
  readonly index: number;
  readonly truth: number;
  readonly pixels: Uint8Array<ArrayBuffer>;
}

/** A test picture that the network got wrong. */
export interface Mistake extends Sample {
  readonly said: number;
  /** The probability it gave to what it said. */
  readonly share: number;
}

/** A look at the whole test set. */
export interface Test {
  readonly seen: number;
  readonly step: number;
  readonly loss: number;
  readonly right: number;
  readonly count: number;
}

/** Where training stands. */
export interface Place {
  readonly step: number;
  /** Whole epochs done. */
  readonly epoch: number;
  /** Pictures of the present epoch done. */
  readonly offset: number;
}

/** Everything the page shows of a run: after opening, and whenever the run goes back to a checkpoint. */
export interface Standing {
  readonly device: Kind;
  readonly settings: Settings;
  readonly place: Place;
  readonly training: boolean;
  readonly curve: CurveData;
  readonly tests: readonly Test[];
  readonly mistakes: readonly Mistake[];
  /** The net as Gluon prints it. */
  readonly repr: string;
  /** Its operations and the kernels that they become, as SVG. */
  readonly graph: string;
}

/** Why there is a new standing: `lost` and `fellBack` are a GPU that went away or failed, `diverged` a loss that is no number any more. */
export type Cause = 'fresh' | 'resumed' | 'switched' | 'restarted' | 'diverged' | 'lost' | 'fellBack';

/** What the worker reports. */
export type Report =
  | { readonly kind: 'loading'; readonly what: string; readonly done: number; readonly total: number }
  /** In a few words what it is about to do: opening a device, compiling. */
  | { readonly kind: 'busy'; readonly what: string }
  | {
      readonly kind: 'standing';
      readonly cause: Cause;
      readonly standing: Standing;
      /** The library's words, where something went wrong. */
      readonly detail?: string | undefined;
    }
  | {
      readonly kind: 'progress';
      readonly place: Place;
      readonly points: readonly Point[];
      readonly learningRate: number;
      /** Pictures a second over the last seconds of training. */
      readonly rate: number | undefined;
      readonly secondsLeft: number | undefined;
    }
  | { readonly kind: 'testing'; readonly done: number; readonly count: number }
  | { readonly kind: 'tested'; readonly test: Test; readonly mistakes: readonly Mistake[] }
  | { readonly kind: 'training' }
  | { readonly kind: 'stopped'; readonly finished: boolean }
  | { readonly kind: 'classified'; readonly probabilities: Float32Array<ArrayBuffer> }
  | { readonly kind: 'samples'; readonly samples: readonly Sample[] }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'kept'; readonly step: number }
  /** Nothing will be there next time, and why. */
  | { readonly kind: 'unkept'; readonly why: 'blocked' | 'full' | 'elsewhere'; readonly detail: string }
  /** What was kept cannot be used. */
  | { readonly kind: 'forgotten'; readonly detail: string }
  | { readonly kind: 'failed'; readonly what: 'data' | 'network'; readonly detail: string };
