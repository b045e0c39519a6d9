// The namespace `gluon.data.vision`.
export {
  CIFAR10,
  type Cifar10Options,
  FashionMNIST,
  MNIST,
  type OpenOptions,
  PictureDataset,
} from './datasets.ts';
export * as transforms from './transforms/index.ts';
