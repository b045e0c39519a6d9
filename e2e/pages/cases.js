// Calls of every group of operations and of every layer, for the page that runs them on both devices. Each makes its inputs on `ctx` from the same numbers.

/** Numbers between −1 and 1 that repeat from run to run. */
function numbers(count, seed) {
  let state = seed * 2654435761 + 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

export function cases({ nd, nn }, ctx) {
  let seed = 0;
  const x = (...shape) =>
    nd.array(
      numbers(
        shape.reduce((n, d) => n * d, 1),
        ++seed,
      ),
      { shape, ctx },
    );
  const positive = (...shape) =>
    x(...shape)
      .abs()
      .add(0.1);
  const ints = (values, shape = [values.length], dtype = 'int32') => nd.array(values, { shape, dtype, ctx });
  const layer = (made, ...shape) => {
    // the weights are drawn on the CPU from one seed, so both devices have the same
    nd.random.seed(7);
    made.initialize({ init: 'xavier', ctx });
    return made(x(...shape));
  };
  const vectorLayer = (made, ...shape) => {
    nd.random.seed(7);
    made.initialize({ ctx });
    return made(x(...shape));
  };
  const unary = Object.fromEntries(
    [
      'neg abs sign round rint ceil floor trunc fix square exp expm1 sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arctanh degrees radians',
      'erf erfinv cbrt relu sigmoid softrelu softsign logSigmoid mish gelu selu silu swish hardSigmoid elu smoothL1 isnan isinf isfinite logicalNot',
    ]
      .join(' ')
      .split(' ')
      .map((name) => [name, () => nd[name](x(3, 5).mul(0.95))]),
  );
  const onPositive = Object.fromEntries(
    'sqrt rsqrt rcbrt reciprocal log log2 log10 log1p'
      .split(' ')
      .map((name) => [name, () => nd[name](positive(3, 5))]),
  );
  const binary = Object.fromEntries(
    'add sub mul div maximum minimum hypot arctan2 equal notEqual greater greaterEqual lesser lesserEqual logicalAnd logicalOr logicalXor'
      .split(' ')
      .map((name) => [name, () => nd[name](x(2, 3, 4), x(3, 1))]),
  );
  const reductions = Object.fromEntries(
    'sum mean prod max min nansum nanprod norm argmax argmin'.split(' ').flatMap((name) => [
      [name, () => nd[name](x(4, 5, 6))],
      [`${name} of an axis`, () => nd[name](x(4, 5, 6), 1)],
    ]),
  );
  return {
    ...unary,
    arccosh: () => nd.arccosh(positive(8).add(1)),
    ...onPositive,
    ...binary,
    ...reductions,
    'numbers on either side': () => x(4, 4).rsub(1).rdiv(2).mul(3).pow(2).add(0.5).mod(0.3),
    'pow of arrays': () => positive(6).pow(x(6)),
    'in place': () => x(3, 4).iadd(x(4)).imul(2).isub(1).idiv(3),
    integers: () =>
      ints([7, -7, 5, 0])
        .div(ints([2, 2, 0, 3]))
        .add(ints([1, 2, 3, 4]))
        .mod(3),
    'uint8 arithmetic': () =>
      ints([250, 3, 255, 8, 9], [5], 'uint8').add(ints([10, 4, 1, 2, 3], [5], 'uint8')),
    'sum over several axes': () => x(3, 4, 5, 6).sum([0, 2], { keepdims: true }),
    'sum over all but': () => x(3, 4, 5).sum(1, { exclude: true }),
    casts: () => x(9).mul(100).astype('int8').astype('int32').astype('float32'),
    'cast to bool': () => ints([0, 1, 2, 0, 3]).astype('bool').astype('float32'),
    creation: () =>
      nd.concat(
        nd.arange(5, { ctx }),
        nd.linspace(0, 1, 4, { ctx }),
        nd.eye(2, { ctx }).reshape([-1]),
        nd.full([2], 3, { ctx }),
        { dim: 0 },
      ),
    softmax: () => x(4, 7).softmax(),
    'softmax of axis 0': () => x(4, 7).softmax(0),
    logSoftmax: () => x(4, 7).mul(30).logSoftmax(),
    softmin: () => nd.softmin(x(4, 7)),
    layerNorm: () => nd.layerNorm(x(4, 7), x(7), x(7)),
    instanceNorm: () => nd.instanceNorm(x(2, 3, 4, 4), x(3), x(3)),
    groupNorm: () => nd.groupNorm(x(2, 4, 3, 3), x(4), x(4), { numGroups: 2 }),
    batchNorm: () => nd.batchNorm(x(2, 3, 4, 4), x(3), x(3), x(3), positive(3)),
    l2Normalization: () => nd.l2Normalization(x(3, 5)),
    dot: () => nd.dot(x(5, 9), x(9, 7)),
    'dot transposed': () => nd.dot(x(9, 5), x(7, 9), { transposeA: true, transposeB: true }),
    batchDot: () => nd.batchDot(x(3, 4, 5), x(3, 5, 6)),
    'matmul of batches': () => nd.matmul(x(2, 1, 4, 5), x(3, 5, 2)),
    fullyConnected: () => nd.fullyConnected(x(4, 3, 3), x(5, 9), x(5)),
    convolution: () => nd.convolution(x(2, 3, 9, 8), x(4, 3, 3, 3), x(4), { stride: 2, pad: 1 }),
    'convolution in groups': () =>
      nd.convolution(x(2, 4, 7, 7), x(6, 2, 3, 3), null, { numGroup: 2, dilate: 2 }),
    deconvolution: () => nd.deconvolution(x(2, 3, 4, 4), x(3, 2, 3, 3), x(2), { stride: 2, pad: 1, adj: 1 }),
    'max pooling': () => nd.pooling(x(2, 3, 8, 7), { kernel: 3, stride: 2, pad: 1 }),
    'average pooling': () =>
      nd.pooling(x(2, 3, 8, 7), {
        kernel: 3,
        poolType: 'avg',
        stride: 2,
        pad: 1,
        poolingConvention: 'full',
        countIncludePad: false,
      }),
    'global pooling': () => nd.pooling(x(2, 3, 5, 5), { globalPool: true, poolType: 'avg' }),
    'lp pooling': () => nd.pooling(x(1, 2, 6, 6), { kernel: 2, poolType: 'lp' }),
    transpose: () => x(2, 3, 4).transpose([2, 0, 1]),
    'reshape family': () => x(2, 3, 4).reshape([0, -1]).expandDims(1).squeeze().flatten(),
    slice: () => x(6, 7).slice([1, null], [5, null], [2, -2]),
    'slice, sliceAxis': () => x(6, 7).sliceAxis(1, 2, -1),
    'at and set': () =>
      x(5, 6)
        .set([':', '1:3'], 2)
        .set([[0, 2], 4], 7)
        .at([3, 1], '::2'),
    flip: () => x(3, 4).flip(1),
    'tile and repeat': () => x(2, 3).tile([2, 2]).repeat(2, 0),
    pad: () => x(1, 2, 3, 3).pad({ mode: 'reflect', padWidth: [0, 0, 0, 0, 1, 1, 2, 2] }),
    'pad with a constant': () => x(1, 2, 3, 3).pad({ padWidth: [0, 0, 0, 0, 1, 0, 0, 2], constantValue: 3 }),
    'concat and stack': () => nd.concat(nd.stack(x(2, 3), x(2, 3), { axis: 1 }), x(2, 1, 3), { dim: 1 }),
    split: () => x(4, 6).split(3, { axis: 1 })[2],
    depthToSpace: () => nd.depthToSpace(x(1, 8, 2, 3), 2),
    broadcastTo: () => x(3, 1).broadcastTo([2, 3, 4]),
    where: () => nd.where(x(3, 4).greater(0), x(3, 4), 0),
    clip: () => x(10).clip(-0.5, 0.25),
    take: () => x(5, 3).take(ints([4, 0, -1, 9])),
    'take, wrapped': () => x(5, 3).take(ints([4, 0, -1, 9]), { mode: 'wrap' }),
    pick: () => x(3, 5).pick(ints([1, 0, 4])),
    gatherNd: () => x(4, 5).gatherNd(ints([0, 3, 2, 1], [2, 2])),
    scatterNd: () => nd.scatterNd(x(3), ints([1, 4, 1], [1, 3]), [6]),
    oneHot: () => ints([2, 0, 5]).oneHot(4),
    embedding: () => nd.embedding(ints([1, 3, 0]), x(4, 6)),
    sort: () => x(3, 33).sort(),
    argsort: () => x(3, 33).argsort({ isAscend: false }),
    topk: () => x(3, 33).topk(5, { retTyp: 'value' }),
    cumsum: () => x(3, 20).cumsum(1),

    'nn.Dense': () => layer(new nn.Dense(4, { activation: 'tanh' }), 3, 5),
    'nn.Conv1D': () => layer(new nn.Conv1D(4, 3, { padding: 1 }), 2, 3, 9),
    'nn.Conv2D': () => layer(new nn.Conv2D(4, [3, 2], { strides: 2, activation: 'relu' }), 2, 3, 9, 8),
    'nn.Conv3D': () => layer(new nn.Conv3D(2, 2), 1, 2, 4, 5, 3),
    'nn.Conv1DTranspose': () => layer(new nn.Conv1DTranspose(3, 3, { strides: 2 }), 1, 2, 5),
    'nn.Conv2DTranspose': () =>
      layer(new nn.Conv2DTranspose(3, 3, { strides: 2, padding: 1, outputPadding: 1 }), 2, 4, 5, 5),
    'nn.MaxPool1D': () => new nn.MaxPool1D(2)(x(2, 3, 8)),
    'nn.MaxPool2D': () => new nn.MaxPool2D(2, 2, { ceilMode: true })(x(2, 3, 7, 7)),
    'nn.MaxPool3D': () => new nn.MaxPool3D(2)(x(1, 2, 4, 4, 4)),
    'nn.AvgPool1D': () => new nn.AvgPool1D(2)(x(2, 3, 8)),
    'nn.AvgPool2D': () => new nn.AvgPool2D(3, 2, { padding: 1 })(x(2, 3, 7, 7)),
    'nn.AvgPool3D': () => new nn.AvgPool3D(2)(x(1, 2, 4, 4, 4)),
    'nn.GlobalMaxPool2D': () => new nn.GlobalMaxPool2D()(x(2, 3, 5, 5)),
    'nn.GlobalAvgPool1D': () => new nn.GlobalAvgPool1D()(x(2, 3, 5)),
    'nn.GlobalAvgPool3D': () => new nn.GlobalAvgPool3D()(x(1, 2, 3, 3, 3)),
    'nn.BatchNorm': () => vectorLayer(new nn.BatchNorm(), 2, 3, 4, 4),
    'nn.LayerNorm': () => vectorLayer(new nn.LayerNorm(), 2, 3, 7),
    'nn.GroupNorm': () => vectorLayer(new nn.GroupNorm({ numGroups: 2 }), 2, 4, 3, 3),
    'nn.InstanceNorm': () => vectorLayer(new nn.InstanceNorm(), 2, 3, 4, 4),
    'nn.Dropout': () => new nn.Dropout(0.5)(x(3, 4)),
    'nn.Embedding': () => {
      const made = new nn.Embedding(5, 3);
      nd.random.seed(7);
      made.initialize({ ctx });
      return made(ints([1, 4, 0]));
    },
    'nn.Flatten': () => new nn.Flatten()(x(2, 3, 4)),
    'nn.Activation': () => new nn.Activation('softrelu')(x(3, 4)),
    'nn.LeakyReLU': () => new nn.LeakyReLU(0.1)(x(3, 4)),
    'nn.PReLU': () => vectorLayer(new nn.PReLU(), 3, 4),
    'nn.ELU': () => new nn.ELU()(x(3, 4)),
    'nn.SELU': () => new nn.SELU()(x(3, 4)),
    'nn.GELU': () => new nn.GELU()(x(3, 4)),
    'nn.Swish': () => new nn.Swish()(x(3, 4)),
    'nn.SiLU': () => new nn.SiLU()(x(3, 4)),
    'nn.Lambda': () => new nn.Lambda((v) => v.mul(2))(x(3)),
    'nn.HybridConcurrent': () => {
      const made = new nn.HybridConcurrent({ axis: 1 });
      made.add(new nn.Identity(), new nn.Activation('relu'));
      return made(x(2, 3));
    },
    'nn.ReflectionPad2D': () => new nn.ReflectionPad2D(1)(x(1, 2, 4, 4)),
    'nn.PixelShuffle2D': () => new nn.PixelShuffle2D(2)(x(1, 8, 3, 2)),
  };
}

/** Runs every case on both devices; tells those that differ by more than rounding, or threw. */
export async function compare(webgluon) {
  const { cpu, gpu, openGpu, nd } = webgluon;
  await openGpu({ allowSoftware: true });
  const names = Object.keys(cases(webgluon, cpu()));
  const failures = [];
  for (const name of names) {
    const results = [];
    try {
      for (const ctx of [cpu(), gpu()]) {
        // made anew for each, so that both draw the same numbers
        const y = nd.scope(() => cases(webgluon, ctx)[name]());
        results.push({ shape: y.shape, context: String(y.context), values: await y.data() });
        y.dispose();
      }
    } catch (error) {
      failures.push(`${name}: ${error}`);
      continue;
    }
    const [a, b] = results;
    if (a.context !== 'cpu(0)' || b.context !== 'gpu(0)' || String(a.shape) !== String(b.shape)) {
      failures.push(`${name}: shapes ${a.shape} and ${b.shape} on ${a.context} and ${b.context}`);
      continue;
    }
    const scale = Math.max(1, ...a.values.map(Math.abs));
    const worst = Math.max(
      0,
      ...a.values.map((v, i) => (Object.is(v, b.values[i]) ? 0 : Math.abs(v - b.values[i]))),
    );
    if (!(worst <= 2e-6 * scale)) failures.push(`${name}: ${worst} apart, of ${scale}`);
    else if (a.values.length === 0) failures.push(`${name}: no values`);
  }
  return { count: names.length, failures };
}
