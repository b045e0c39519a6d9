// The namespace `gluon.loss`.
export { Loss, type LossOptions } from './base.ts';
export {
  KLDivLoss,
  type KLDivLossOptions,
  SigmoidBinaryCrossEntropyLoss,
  SigmoidBinaryCrossEntropyLoss as SigmoidBCELoss,
  type SigmoidBinaryCrossEntropyLossOptions,
  SoftmaxCrossEntropyLoss,
  SoftmaxCrossEntropyLoss as SoftmaxCELoss,
  type SoftmaxCrossEntropyLossOptions,
} from './crossEntropy.ts';
export { CTCLoss, type CTCLossOptions } from './ctc.ts';
export {
  CosineEmbeddingLoss,
  HingeLoss,
  LogisticLoss,
  type LogisticLossOptions,
  type MarginLossOptions,
  SquaredHingeLoss,
  TripletLoss,
} from './margin.ts';
export {
  HuberLoss,
  type HuberLossOptions,
  L1Loss,
  L2Loss,
  PoissonNLLLoss,
  type PoissonNLLLossOptions,
} from './regression.ts';
