// The namespace `viz`: looking at nets.
export { type PlotOptions, plotNetwork } from './plotNetwork.ts';
