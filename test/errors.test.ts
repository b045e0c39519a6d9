// Bad input: the right class, at the caller's line, in the one form of all messages; nothing allocated, nothing written.
import { beforeAll, describe, expect, test } from 'vitest';
import {
  ArgumentError,
  ContextError,
  cpu,
  DTypeError,
  GluonError,
  GpuUnavailableError,
  gpu,
  memoryInfo,
  NDArray,
  nd,
  random,
  ShapeError,
  withContext,
} from 'webgluon';
import { eachDevice, holds } from './devices.ts';
import { differences } from './values.ts';

interface Inputs {
  /** (2, 3), 1 to 6. */
  readonly x: NDArray;
  /** (4,) */
  readonly four: NDArray;
  /** (2, 3), int32. */
  readonly whole: NDArray;
  /** (2, 3), bool. */
  readonly flags: NDArray;
  /** (1, 2, 5, 5) */
  readonly image: NDArray;
  /** (3, 2, 3, 3) */
  readonly weight: NDArray;
  /** No axes. */
  readonly scalar: NDArray;
  readonly gone: NDArray;
  /** (2, 3) on another context. */
  readonly other: NDArray;
}

type Bad = readonly [
  name: string,
  call: (i: Inputs) => unknown,
  kind: abstract new (...args: never[]) => Error,
  text: RegExp,
];
// what a caller without types may write
const any = <T>(value: unknown): T => value as T;

const BAD: readonly Bad[] = [
  // --- shapes that do not fit ---
  ['add', ({ x, four }) => x.add(four), ShapeError, /\[add\].*broadcast.*\(2, 3\) and \(4,\)/],
  [
    'iadd that would grow',
    ({ four }) => four.reshape([1, 4]).iadd(nd.zeros([2, 4], { ctx: four.context })),
    ShapeError,
    /\[iadd\].*\(1, 4\)/,
  ],
  ['dot', ({ x }) => nd.dot(x, x), ShapeError, /\[dot\].*inner.*3 and 2/],
  [
    'dot, transposed',
    ({ x, four }) => nd.dot(x, four, { transposeA: true }),
    ShapeError,
    /\[dot\].*transposed/,
  ],
  ['dot without axes', ({ scalar, x }) => nd.dot(scalar, x), ShapeError, /\[dot\].*without/],
  ['batchDot of matrices', ({ x }) => nd.batchDot(x, x), ShapeError, /\[batchDot\].*Use dot/],
  ['matmul', ({ x }) => nd.matmul(x, x), ShapeError, /\[matmul\].*inner/],
  [
    'matmul’s batches',
    ({ image }) => nd.matmul(image, nd.zeros([3, 5, 2], { ctx: image.context })),
    ShapeError,
    /\[matmul\].*broadcast/,
  ],
  [
    'fullyConnected',
    ({ x, four }) => nd.fullyConnected(x, four.reshape([1, 4])),
    ShapeError,
    /\[fullyConnected\] expected input of shape \(N, 4\).*\(2, 3\)/,
  ],
  [
    'fullyConnected’s bias',
    ({ x, four }) => nd.fullyConnected(x, x, four),
    ShapeError,
    /bias of shape \(2,\)/,
  ],
  [
    'fullyConnected without flatten',
    ({ x, four }) => nd.fullyConnected(x, four.reshape([1, 4]), null, { flatten: false }),
    ShapeError,
    /Pass flatten: true/,
  ],
  [
    'convolution’s channels',
    ({ image }) => nd.convolution(image, nd.zeros([1, 3, 3, 3], { ctx: image.context })),
    ShapeError,
    /\[convolution\] expected input with 3 channels/,
  ],
  ['convolution’s axes', ({ x, weight }) => nd.convolution(x, weight), ShapeError, /2 spatial axes/],
  [
    'convolution’s kernel is too large',
    ({ image }) => nd.convolution(image, nd.zeros([1, 2, 6, 6], { ctx: image.context })),
    ShapeError,
    /at least as large as the kernel's reach/,
  ],
  [
    'convolution’s groups',
    ({ image, weight }) => nd.convolution(image, weight, null, { numGroup: 2 }),
    ShapeError,
    /groups/,
  ],
  [
    'convolution’s bias',
    ({ image, weight, four }) => nd.convolution(image, weight, four),
    ShapeError,
    /bias of shape \(3,\)/,
  ],
  [
    'convolution’s stride',
    ({ image, weight }) => nd.convolution(image, weight, null, { stride: [1, 1, 1] }),
    ShapeError,
    /stride with 2 integers/,
  ],
  [
    'convolution’s stride 0',
    ({ image, weight }) => nd.convolution(image, weight, null, { stride: 0 }),
    ShapeError,
    /stride/,
  ],
  [
    'convolution’s kernel is another',
    ({ image, weight }) => nd.convolution(image, weight, null, { kernel: 5 }),
    ShapeError,
    /kernel \(3, 3\)/,
  ],
  [
    'deconvolution’s channels',
    ({ image, weight }) => nd.deconvolution(image, weight),
    ShapeError,
    /\[deconvolution\].*3 channels/,
  ],
  [
    'deconvolution’s output padding',
    ({ image }) => nd.deconvolution(image, nd.zeros([2, 1, 3, 3], { ctx: image.context }), null, { adj: 1 }),
    ShapeError,
    /output padding/,
  ],
  ['pooling’s window', ({ image }) => nd.pooling(image, { kernel: 6 }), ShapeError, /\[pooling\].*window 6/],
  [
    'pooling’s padding',
    ({ image }) => nd.pooling(image, { kernel: 2, pad: 2 }),
    ShapeError,
    /padding below the window/,
  ],
  ['pooling’s axes', ({ x }) => nd.pooling(x, { kernel: 2 }), ShapeError, /spatial axes/],
  ['pooling without a window', ({ image }) => nd.pooling(image), ShapeError, /expected kernel/],
  ['reshape', ({ x }) => x.reshape([4, 2]), ShapeError, /\[reshape\].*6 elements/],
  ['reshape, two unknown', ({ x }) => x.reshape([-1, -1]), ShapeError, /Only one −1/],
  ['reshape by text', ({ x }) => x.reshape(any('2,3')), ShapeError, /\[reshape\]/],
  ['reshapeLike', ({ x, four }) => x.reshapeLike(four), ShapeError, /\[reshapeLike\].*6 elements/],
  ['squeeze', ({ x }) => x.squeeze(0), ShapeError, /extent 1/],
  ['broadcastTo', ({ x }) => x.broadcastTo([3, 3]), ShapeError, /broadcast/],
  ['broadcastAxis', ({ x }) => x.broadcastAxis([0, 1], [2]), ShapeError, /one size for each axis/],
  ['concat', ({ x, four }) => nd.concat(x, four), ShapeError, /\[concat\]/],
  ['concat along another axis', ({ x }) => nd.concat(x, x.slice([0], [1])), ShapeError, /array 1/],
  ['stack', ({ x, four }) => nd.stack(x, four), ShapeError, /\[stack\].*one shape/],
  ['split', ({ x }) => x.split(2), ShapeError, /divisible by 2/],
  ['split, squeezed', ({ x }) => x.split(1, { squeezeAxis: true }), ShapeError, /extent 1/],
  ['slice', ({ x }) => x.slice([0, 0, 0], [1, 1, 1]), ShapeError, /at most 2 ranges/],
  ['pad', ({ x }) => x.pad({ padWidth: [1, 1] }), ShapeError, /4 integers/],
  [
    'pad by reflection',
    ({ x }) => x.pad({ mode: 'reflect', padWidth: [2, 0, 0, 0] }),
    ShapeError,
    /narrower/,
  ],
  ['where', ({ x, four }) => nd.where(x, four, 0), ShapeError, /\[where\]/],
  ['pick', ({ x, four }) => x.pick(four), ShapeError, /\[pick\]/],
  ['takeAlongAxis', ({ x, four }) => x.takeAlongAxis(four), ShapeError, /\[takeAlongAxis\]/],
  ['take from nothing', ({ x }) => nd.zeros([0, 2], { ctx: x.context }).take(x), ShapeError, /extent 0/],
  ['gatherNd', ({ x, image }) => x.gatherNd(image.reshape([5, 10])), ShapeError, /\[gatherNd\]/],
  ['scatterNd', ({ x, four }) => nd.scatterNd(four, x, [2, 3]), ShapeError, /\[scatterNd\]/],
  ['embedding', ({ x, four }) => nd.embedding(x, four), ShapeError, /weight of shape/],
  ['layerNorm', ({ x, four }) => nd.layerNorm(x, four, four), ShapeError, /gamma of shape \(3,\)/],
  [
    'batchNorm',
    ({ image, four }) => nd.batchNorm(image, four, four, four, four),
    ShapeError,
    /gamma of shape \(2,\)/,
  ],
  [
    'groupNorm',
    ({ image, four }) => nd.groupNorm(image, four, four, { numGroups: 3 }),
    ShapeError,
    /divisible by 3/,
  ],
  ['instanceNorm', ({ x, four }) => nd.instanceNorm(x, four, four), ShapeError, /spatial axis/],
  ['l2Normalization', ({ x }) => nd.l2Normalization(x, { mode: 'spatial' }), ShapeError, /at least 3 axes/],
  ['topk', ({ x }) => x.topk(4), ShapeError, /k from 1 to 3/],
  ['a negative extent', ({ x }) => nd.zeros([-1], { ctx: x.context }), ShapeError, /integers ≥ 0/],
  ['copyto', ({ x, four }) => x.copyto(four), ShapeError, /\[copyto\]/],
  [
    'nine axes',
    ({ x }) => nd.zeros([1, 1, 1, 1, 1, 1, 1, 1, 1], { ctx: x.context }),
    ShapeError,
    /at most 8 axes/,
  ],
  [
    'ragged rows',
    ({ x }) => nd.array([[1, 2], [3]], { ctx: x.context }),
    ShapeError,
    /rows of one length.*\[1\]/,
  ],
  ['rows of two depths', ({ x }) => nd.array([1, [2]], { ctx: x.context }), ShapeError, /one depth/],
  [
    'values for another shape',
    ({ x }) => nd.array([1, 2, 3], { ctx: x.context, shape: [2, 2] }),
    ShapeError,
    /4 values/,
  ],
  ['an extent that is no integer', ({ x }) => nd.zeros([1.5], { ctx: x.context }), ShapeError, /integers/],
  ['spaceToDepth', ({ image }) => nd.spaceToDepth(image, 2), ShapeError, /divisible by 2/],
  ['depthToSpace', ({ image }) => nd.depthToSpace(image, 2), ShapeError, /divisible by 4/],

  // --- axes ---
  ['sum', ({ x }) => x.sum(2), ShapeError, /axis from -2 to 1, received 2/],
  ['mean of an axis twice', ({ x }) => x.mean([0, 0]), ShapeError, /each axis once/],
  ['argmax', ({ x }) => x.argmax(-3), ShapeError, /axis from -2 to 1/],
  ['softmax', ({ x }) => x.softmax(5), ShapeError, /\[softmax\]/],
  ['sort', ({ x }) => x.sort(2), ShapeError, /\[sort\]/],
  ['cumsum', ({ x }) => x.cumsum(2), ShapeError, /\[cumsum\]/],
  ['transpose', ({ x }) => x.transpose([0, 0]), ShapeError, /each axis once/],
  ['transpose of too few', ({ x }) => x.transpose([0]), ShapeError, /2 axes/],
  ['expandDims', ({ x }) => x.expandDims(4), ShapeError, /\[expandDims\]/],
  ['concat', ({ x }) => nd.concat(x, x, { dim: 2 }), ShapeError, /\[concat\]/],
  ['take', ({ x }) => x.take(x, { axis: 2 }), ShapeError, /\[take\]/],
  ['flip', ({ x }) => x.flip(2), ShapeError, /\[flip\]/],
  ['repeat', ({ x }) => x.repeat(2, 3), ShapeError, /\[repeat\]/],
  ['an axis that is no integer', ({ x }) => x.sum(0.5), ShapeError, /axis/],
  ['an axis of an array without axes', ({ scalar }) => scalar.sum(0), ShapeError, /expected no axis/],

  // --- indices ---
  ['at beyond the end', ({ x }) => x.at(2), ShapeError, /index from -2 to 1 along axis 0.*received 2/],
  ['at too many', ({ x }) => x.at(0, 0, 0), ShapeError, /at most 2 indices/],
  ['at two ellipses', ({ x }) => x.at('...', '...'), ShapeError, /once/],
  ['at text that is no range', ({ x }) => x.at('first'), ArgumentError, /range such as/],
  ['at a step of 0', ({ x }) => x.at('::0'), ShapeError, /step that is not 0, received ::0\./],
  ['at a list beyond the end', ({ x }) => x.at([0, 5]), ShapeError, /indices from -2 to 1/],
  ['at a mask', ({ x, flags }) => x.at(flags), DTypeError, /nd\.where/],
  ['at an object', ({ x }) => x.at(any({})), ArgumentError, /received a Object|received a/],
  ['set beyond the end', ({ x }) => x.set([0, 3], 1), ShapeError, /\[set\].*axis 1/],
  ['set a value that does not fit', ({ x }) => x.set([0], [1, 2]), ShapeError, /\[set\]/],
  ['set a list’s value that does not fit', ({ x, four }) => x.set([[0, 1]], four), ShapeError, /\[set\]/],
  ['set ragged values', ({ x }) => x.set([':'], [[1], [2, 3]]), ShapeError, /rows of one length/],

  // --- dtypes ---
  ['add', ({ x, whole }) => x.add(whole), DTypeError, /\[add\].*float32 and int32.*astype/],
  ['iadd', ({ x, whole }) => x.iadd(whole), DTypeError, /\[iadd\]/],
  ['exp of integers', ({ whole }) => whole.exp(), DTypeError, /\[exp\].*received int32.*astype/],
  ['softmax of integers', ({ whole }) => whole.softmax(), DTypeError, /\[softmax\]/],
  ['dot', ({ x, whole }) => nd.dot(x, whole.T), DTypeError, /float32 and int32/],
  ['dot of bool', ({ flags }) => nd.dot(flags, flags.T), DTypeError, /received bool/],
  ['concat', ({ x, whole }) => nd.concat(x, whole), DTypeError, /\[concat\]/],
  ['where', ({ x, whole }) => nd.where(x, x, whole), DTypeError, /\[where\]/],
  [
    'convolution',
    ({ image, weight }) => nd.convolution(image, weight.astype('int32')),
    DTypeError,
    /\[convolution\]/,
  ],
  ['pooling', ({ image }) => nd.pooling(image.astype('int32'), { kernel: 2 }), DTypeError, /\[pooling\]/],
  ['norm of integers', ({ whole }) => whole.norm(), DTypeError, /received int32/],
  ['a dtype that does not exist', ({ x }) => x.astype(any('float')), DTypeError, /one of float32/],
  [
    'a dtype that does not exist, made',
    ({ x }) => nd.zeros([1], { ctx: x.context, dtype: any('int64') }),
    DTypeError,
    /one of float32/,
  ],
  [
    'random integers as draws',
    ({ x }) => nd.random.uniform(0, 1, 2, { ctx: x.context, dtype: 'int32' }),
    DTypeError,
    /received int32/,
  ],

  // --- arguments ---
  [
    'a number where an array is wanted',
    () => nd.exp(any(3)),
    ArgumentError,
    /expected an NDArray, received 3.*nd\.array/,
  ],
  [
    'nested arrays where an array is wanted',
    () => nd.sum(any([[1, 2]])),
    ArgumentError,
    /expected an NDArray.*nd\.array/,
  ],
  [
    'a Promise where an array is wanted',
    ({ x }) => nd.exp(any(Promise.resolve(x))),
    ArgumentError,
    /await it first/,
  ],
  [
    'a Promise as the other operand',
    ({ x }) => x.add(any(Promise.resolve(1))),
    ArgumentError,
    /await it first/,
  ],
  ['text as the other operand', ({ x }) => x.mul(any('2')), ArgumentError, /received "2"/],
  ['two numbers', () => nd.add(1, 2), ArgumentError, /at least one NDArray/],
  ['a Promise as a source', () => nd.array(any(Promise.resolve([1]))), ArgumentError, /await it first/],
  ['text in a source', () => nd.array(any([1, 'two'])), ArgumentError, /"two" at \[1\]/],
  ['an array in a source', ({ x }) => nd.array(any([x])), GluonError, /nd\.stack|NDArray/],
  [
    'an unknown option, near a known one',
    ({ x }) => x.sum(0, any({ keep_dims: true })),
    ArgumentError,
    /keep_dims.*Did you mean keepdims\?/,
  ],
  [
    'snake case',
    ({ x }) => nd.dot(x, x, any({ transpose_b: true })),
    ArgumentError,
    /Did you mean transposeB\?/,
  ],
  ['an unknown option', ({ x }) => x.softmax({ wavelength: 3 } as never), ArgumentError, /"wavelength"/],
  [
    'a number where options stand',
    ({ image }) => nd.pooling(image, any(2)),
    ArgumentError,
    /options as an object.*received 2/,
  ],
  [
    'a number where options stand, of creation',
    ({ image, weight }) => nd.convolution(image, weight, null, any(1)),
    ArgumentError,
    /received 1/,
  ],
  [
    'a number where options stand, of a reduction',
    ({ x }) => x.sum(0, any(1)),
    ArgumentError,
    /\[sum\].*received 1/,
  ],
  [
    'a number where options stand, of zeros',
    () => nd.zeros([2], any(3)),
    ArgumentError,
    /\[zeros\].*received 3/,
  ],
  ['an array where options stand', ({ x }) => x.softmax(0, any([1])), ArgumentError, /\[softmax\]/],
  ['an argument twice', ({ x }) => x.clip(1, any({ min: 0, max: 2 })), ArgumentError, /once/],
  ['a wrong word', ({ x }) => x.take(x, any({ mode: 'warp' })), ArgumentError, /Did you mean 'wrap'\?/],
  [
    'a wrong kind of pooling',
    ({ image }) => nd.pooling(image, any({ kernel: 2, poolType: 'mean' })),
    ArgumentError,
    /'max', 'avg'/,
  ],
  ['a wrong activation', ({ x }) => nd.activation(x, any('rellu')), ArgumentError, /Did you mean 'relu'\?/],
  ['a missing number', ({ x }) => x.clip(any(undefined)), ArgumentError, /min to be a number/],
  [
    'text for a flag',
    ({ x }) => x.sum(0, any({ keepdims: 'yes' })),
    ArgumentError,
    /keepdims to be true or false/,
  ],
  ['a step of 0', () => nd.arange(0, 1, 0), ArgumentError, /\[arange\]/],
  ['a negative depth', ({ x }) => x.oneHot(-1), ArgumentError, /depth/],
  ['negative repetitions', ({ x }) => x.tile([-1]), ShapeError, /\[tile\]/],
  ['the order of a norm', ({ x }) => x.norm(any({ ord: 3 })), ArgumentError, /\[norm\]/],
  ['nothing to join', () => nd.concat(), ArgumentError, /\[concat\]/],
  ['a seed', () => random.seed(any('now')), ArgumentError, /\[random\.seed\]/],
  ['a range of integers that is empty', () => nd.random.randint(3, 3), ArgumentError, /high above low/],
  ['a negative deviation', () => nd.random.normal(0, -1), ArgumentError, /scale above 0/],
  ['new NDArray', () => Reflect.construct(NDArray, []), ArgumentError, /nd\.array/],

  // --- arrays that were freed, contexts ---
  ['a disposed array', ({ gone }) => gone.add(1), ArgumentError, /array in use.*\(2, 3\).*disposed/],
  ['a disposed array on the right', ({ x, gone }) => x.add(gone), ArgumentError, /disposed/],
  ['a disposed array, written', ({ gone }) => gone.set([0], 1), ArgumentError, /disposed/],
  ['a disposed array, reshaped', ({ gone }) => gone.reshape([6]), ArgumentError, /disposed/],
  ['a disposed array, in place', ({ gone }) => gone.iadd(1), ArgumentError, /disposed/],
  ['a disposed array, read at', ({ gone }) => gone.at(0), ArgumentError, /disposed/],
  ['text as a context', () => nd.zeros([1], { ctx: any('gpu') }), ContextError, /cpu\(\) or gpu\(0\)/],
  ['text for withContext', () => withContext(any('cpu'), () => 1), ContextError, /received "cpu"/],
  ['a GPU that cannot be', () => nd.zeros([1], { ctx: gpu(1) }), GpuUnavailableError, /gpu\(1\)/],
  ['a context that is none', ({ x }) => x.asInContext(any(null)), ArgumentError, /asInContext/],
  ['a device number', () => cpu(-1), ContextError, /integer ≥ 0/],
];

const FORM = /^\[[^\]]+\] expected .+, received .+\. \S.*[.?)]$/s;

/** The first frame of the caller's own code. */
function callerOf(error: Error): string {
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return frames.find((line) => !/[/\\]src[/\\]|<anonymous>\)/.test(line)) ?? '';
}

function caught(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

eachDevice((ctx) => {
  let inputs: Inputs;
  const values = [1, 2, 3, 4, 5, 6];
  beforeAll(() => {
    const make = (shape: readonly number[]): NDArray =>
      nd.arange(1, shape.reduce((n, d) => n * d, 1) + 1, 1, { ctx }).reshape(shape);
    const x = make([2, 3]);
    const gone = x.copy();
    gone.dispose();
    inputs = {
      x,
      four: make([4]),
      whole: x.astype('int32'),
      flags: x.astype('bool'),
      image: make([1, 2, 5, 5]),
      weight: make([3, 2, 3, 3]),
      scalar: nd.ones([], { ctx }),
      gone,
      other: nd.ones([2, 3], { ctx: cpu(0) }),
    };
  });

  for (const [name, call, kind, text] of BAD)
    test(`${kind.name}: ${name}`, async () => {
      await nd.waitall();
      const before = memoryInfo(ctx);
      const error = caught(() => nd.scope(() => call(inputs)));
      expect(error).toBeInstanceOf(kind);
      expect(error).toBeInstanceOf(GluonError);
      const { message, stack, name: named, code } = error as GluonError;
      expect(message).toMatch(text);
      expect(message).toMatch(FORM);
      expect(named).toBe((error as object).constructor.name);
      expect(code).toMatch(/^[A-Z_]+$/);
      expect(callerOf(error as Error), stack).toContain('errors.test.ts');
      // what the call itself had to make for its bad arguments went with the scope
      const after = memoryInfo(ctx);
      expect([after.arrays, after.bytesInUse]).toEqual([before.arrays, before.bytesInUse]);
      expect(differences(await inputs.x.data(), values)).toEqual([]);
    });

  test('nothing is left of a refused call outside any scope', async () => {
    await nd.waitall();
    const before = memoryInfo(ctx);
    const { x, four, whole } = inputs;
    for (const call of [
      () => x.add(four),
      () => nd.dot(x, x),
      () => x.topk(7),
      () => x.set([[0, 1]], four),
      () => x.set([0], [1, 2]),
      () => nd.concat(x, whole),
      () => nd.stack(x, four),
      () => x.sort(3),
      () => nd.matmul(x, x),
      () => x.copyto(four),
      () => x.at(':', [0, 9]),
      () => x.cumsum(4),
      () => nd.fullyConnected(x, four),
    ])
      expect(caught(call)).toBeInstanceOf(GluonError);
    const after = memoryInfo(ctx);
    expect([after.arrays, after.bytesInUse, after.userBytes]).toEqual([
      before.arrays,
      before.bytesInUse,
      before.userBytes,
    ]);
  });

  test('the stack reaches the caller’s line from deep inside, and the setting is put back', () => {
    const limit = Error.stackTraceLimit;
    const within = (depth: number): unknown =>
      depth === 0 ? inputs.x.norm({ axis: 7 }) : nd.scope(() => within(depth - 1));
    const error = caught(() => within(5)) as Error;
    expect(error.stack).toContain('within');
    expect((error.stack ?? '').split('\n').length).toBeGreaterThan(15);
    expect(Error.stackTraceLimit).toBe(limit);
  });

  test('reading rejects, and does not throw', async () => {
    const { gone, x } = inputs;
    for (const [promise, text] of [
      [gone.data(), /\[data\].*disposed/],
      [gone.array(), /\[array\].*disposed/],
      [gone.asscalar(), /disposed/],
      [gone.print(), /disposed/],
      [gone.toCpu(), /disposed/],
      [x.asscalar(), /\[asscalar\] expected an array with one element, received shape \(2, 3\)/],
      [x.item(), /\[item\]/],
      [x.data('complex' as never), /one of float32/],
    ] as const) {
      const error = await promise.then(
        () => undefined,
        (e: unknown) => e,
      );
      expect(error).toBeInstanceOf(GluonError);
      expect((error as Error).message).toMatch(text);
      expect((error as Error).message).toMatch(FORM);
    }
  });

  test('a dtype that the device does not hold', ({ skip }) => {
    if (ctx.deviceType === 'cpu') skip('a CPU holds every dtype');
    for (const dtype of ['float64', 'float16'] as const) {
      if (holds(ctx, dtype)) continue;
      for (const call of [
        () => nd.zeros([1], { ctx, dtype }),
        () => inputs.x.astype(dtype),
        () => nd.array([1], { ctx, dtype }),
      ]) {
        const error = caught(call);
        expect(error).toBeInstanceOf(DTypeError);
        expect((error as Error).message).toMatch(new RegExp(`gpu\\(0\\) holds.*received ${dtype}`));
        expect((error as Error).message).toMatch(FORM);
      }
    }
    expect(holds(ctx, 'float64')).toBe(false);
  });

  describe('mixed contexts', () => {
    test('are refused, naming both', ({ skip }) => {
      if (ctx.deviceType === 'cpu') skip('needs two devices');
      const { x, other } = inputs;
      for (const call of [
        () => x.add(other),
        () => other.add(x),
        () => x.iadd(other),
        () => nd.dot(x, other.T),
        () => nd.concat(x, other),
        () => nd.where(x, other, 0),
        () => x.set([0], other.at(0)),
        () => x.take(other),
        () => nd.stack(x, other),
        () => x.at(other),
      ]) {
        const error = caught(call);
        expect(error).toBeInstanceOf(ContextError);
        expect((error as Error).message).toMatch(/(cpu\(0\).*gpu\(0\))|(gpu\(0\).*cpu\(0\))/);
        expect((error as Error).message).toMatch(FORM);
        expect(callerOf(error as Error)).toContain('errors.test.ts');
      }
    });
  });
});
