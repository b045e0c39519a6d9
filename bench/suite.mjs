// What is measured, as one function that needs nothing from outside: it runs in Node and, sent as text, in a page.

/**
 * JavaScript per eager operation on arrays of 16 elements, and LeNet's forward.
 *
 * One figure is the median over rounds; a round is `calls` calls of one operation, each result disposed, timed from the first call to the last (host
 * time: what has been recorded is handed over as it goes, nothing is waited for), then waited for outside the clock.
 *
 * @param {typeof import('webgluon')} webgluon the built library
 * @param {{ device: 'cpu' | 'gpu', rounds?: number, calls?: number, batches?: number[] }} options
 */
export async function suite(webgluon, { device, rounds = 31, calls = 512, batches = [1, 64] }) {
  const { nd, nn, cpu, openGpu, withContext } = webgluon;
  const ctx = device === 'cpu' ? cpu() : await openGpu({ allowSoftware: true });
  const stats = (times) => {
    const sorted = [...times].sort((a, b) => a - b);
    const at = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
    return { median: at(0.5), low: at(0.1), high: at(0.9), runs: sorted.length };
  };
  const rows = [];

  const [a, b] = withContext(ctx, () => [nd.arange(16), nd.ones([16])]);
  const [m, n] = withContext(ctx, () => [nd.ones([4, 4]), nd.ones([4, 4])]);
  const operations = {
    'add (two arrays)': () => a.add(b),
    'mul (by a number)': () => a.mul(3),
    relu: () => nd.relu(a),
    'sum (all)': () => a.sum(),
    'softmax 4×4': () => m.softmax(),
    'dot 4×4': () => nd.dot(m, n),
    'transpose 4×4': () => m.transpose(),
    'reshape (a view)': () => a.reshape([4, 4]),
  };
  for (const [name, call] of Object.entries(operations)) {
    const times = [];
    for (let round = -8; round < rounds; round++) {
      const begin = performance.now();
      for (let i = 0; i < calls; i++) call().dispose();
      const spent = performance.now() - begin;
      await nd.waitall();
      if (round >= 0) times.push((spent / calls) * 1000);
    }
    rows.push({ group: 'JavaScript per eager op, 16 elements', name, unit: 'µs', ...stats(times) });
  }
  // a chain of all of them in turn, as a program has them: the caches see different kernels
  const chain = () =>
    nd.scope(() => {
      let y = a;
      for (let i = 0; i < 32; i++) y = nd.relu(y.add(b).mul(0.5)).sub(1);
    });
  const times = [];
  for (let round = -8; round < rounds; round++) {
    const begin = performance.now();
    for (let i = 0; i < 4; i++) chain();
    const spent = performance.now() - begin;
    await nd.waitall();
    if (round >= 0) times.push((spent / (4 * 128)) * 1000);
  }
  rows.push({ group: 'JavaScript per eager op, 16 elements', name: 'chain of add, mul, relu, sub in a scope', unit: 'µs', ...stats(times) });

  if (nn !== undefined) {
    const net = new nn.Sequential();
    net.add(
      new nn.Conv2D(6, 5, { activation: 'relu' }),
      new nn.MaxPool2D(2, 2),
      new nn.Conv2D(16, 3, { activation: 'relu' }),
      new nn.MaxPool2D(2, 2),
      new nn.Flatten(),
      new nn.Dense(120, { activation: 'relu' }),
      new nn.Dense(84, { activation: 'relu' }),
      new nn.Dense(10),
    );
    net.initialize({ ctx });
    for (const batch of batches) {
      const x = nd.random.uniform(0, 1, [batch, 1, 28, 28], { ctx });
      const runs = [];
      for (let round = -5; round < Math.min(rounds, 21); round++) {
        const begin = performance.now();
        const y = net(x);
        await y.data();
        const spent = performance.now() - begin;
        y.dispose();
        if (round >= 0) runs.push(spent);
      }
      x.dispose();
      rows.push({ group: 'LeNet forward with its values read, eager', name: `batch ${batch}`, unit: 'ms', ...stats(runs) });
    }
  }
  return rows;
}
