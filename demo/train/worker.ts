// The worker's door: the first command opens a session, the others go to it.
import type { Post } from './begin.ts';
import { DataError, textOf } from './begin.ts';
import type { Command } from './messages.ts';
import { Session } from './session.ts';
import { Vault } from './vault.ts';

const post: Post = (report) => postMessage(report);
const early: Command[] = [];
let session: Session | undefined;
let opening = false;

async function open(command: Extract<Command, { kind: 'open' }>): Promise<void> {
  try {
    session = await Session.open(command, await Vault.open(post), post);
    for (const waiting of early.splice(0)) session.command(waiting);
    await session.run();
  } catch (error) {
    opening = false;
    const what = error instanceof DataError ? 'data' : 'network';
    post({ kind: 'failed', what, detail: textOf(error) });
  }
}

addEventListener('message', ({ data }: MessageEvent<Command>) => {
  if (data.kind !== 'open') {
    if (session === undefined) early.push(data);
    else session.command(data);
  } else if (!opening) {
    opening = true;
    void open(data);
  }
});
