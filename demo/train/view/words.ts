// What the page says when something does not go as planned: plain words first, the library's own to unfold.

import { formatCount } from '../../view/dom.ts';
import type { Warning } from '../../view/notice.ts';
import type { Report } from '../messages.ts';

type Of<K extends Report['kind']> = Extract<Report, { kind: K }>;

const WHY = {
  blocked: 'The browser gives this page no storage: a private window, perhaps, or blocked site data.',
  full: 'The browser’s storage is full.',
  elsewhere: 'The page is open in another tab as well, and that one keeps its own run.',
} as const;

export function unkeptWarning({ why, detail }: Of<'unkept'>): Warning {
  return {
    headline: 'Nothing will be kept.',
    text: `${WHY[why]} The training works, but is gone when you leave.`,
    detail,
    failure: false,
  };
}

export function failureWarning({ what, detail }: Of<'failed'>): Warning {
  if (what === 'data')
    return { headline: 'The digits could not be loaded.', text: detail, detail: undefined };
  return { headline: 'The network could not run.', text: 'Something went wrong on the CPU.', detail };
}

/** The loss is still that of guessing. */
export function stuckWarning(learningRate: number): Warning {
  return {
    headline: 'It learns nothing.',
    text: `The loss is still that of guessing: at a learning rate of ${learningRate} the network has most likely lost its way for good. Choose another rate and start over.`,
    failure: false,
  };
}

/** The CPU took over. */
export function fallBackWarning(
  cause: 'lost' | 'fellBack',
  step: number,
  detail: string | undefined,
  retry: () => void,
): Warning {
  const what = cause === 'lost' ? 'The GPU went away.' : 'The GPU could not train the network.';
  return {
    headline: 'The CPU does the work.',
    text: `${what} The CPU goes on from step ${formatCount(step)}, the last checkpoint.`,
    detail,
    action: { label: 'Try the GPU again', run: retry },
  };
}
