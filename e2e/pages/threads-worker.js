// A module worker that computes for a test: a few products, on as many threads as it is told.
import { nd, setNumThreads } from '../../dist/webgluon.js';

addEventListener('message', async ({ data: threads }) => {
  nd.random.seed(3);
  const a = nd.random.uniform(-1, 1, { shape: [300, 260] });
  const b = nd.random.uniform(-1, 1, { shape: [260, 310] });
  const product = async () => (await nd.dot(a, b).data()).join();
  const one = await product();
  const inUse = await setNumThreads(threads);
  let same = true;
  for (let round = 0; round < 10; round++) same &&= (await product()) === one;
  postMessage({ inUse, same, after: await setNumThreads(1) });
});
