// `webgluon/worker.js`: a thread of the CPU device. One file that imports nothing, so that a page's policy of `worker-src 'self'` admits it.
import { serve } from './device/cpu/threads/serve.ts';

serve();
