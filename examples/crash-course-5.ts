// Part 5 of Gluon's crash course: predict with a trained network. The parameters are those that Apache MXNet trained and saved in the course itself.
import { gluon, type NDArray, nd, nn } from 'webgluon';

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
await net.loadParameters('test-data/crash-course/lenet-fashionmnist.params');

const { FashionMNIST, transforms } = gluon.data.vision;
const transformer = new transforms.Compose([new transforms.ToTensor(), new transforms.Normalize(0.13, 0.31)]);
const valid = await FashionMNIST.open({
  images: 'test-data/crash-course/fashion-sprite-images-idx3-ubyte.gz',
  labels: 'test-data/crash-course/fashion-sprite-labels-idx1-ubyte.gz',
});
const names = 't-shirt trouser pullover dress coat sandal shirt sneaker bag boot'.split(' ');

// --- predict a few ---
const [pictures, truth] = valid.slice(0, 10);
const guesses: string[] = [];
for (const picture of pictures) {
  const scores: NDArray = net(transformer(picture).expandDims(0));
  guesses.push(names[await scores.argmax(1).asscalar()] as string);
}
console.log(`said: ${guesses.join(', ')}`);
console.log(`is:   ${[...truth].map((label) => names[label]).join(', ')}`);

// --- and all of them ---
let right = 0;
for await (const [data, labels] of new gluon.data.DataLoader(valid.transformFirst(transformer), 100))
  right += await nd.scope(() => net(data).argmax(1).astype('int32').equal(labels).sum()).asscalar();
console.log(`${right} of ${valid.length} right`);
