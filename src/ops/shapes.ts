// One name for the files that move or regroup elements; new code names the file it means.
export * from './blocks.ts';
export * from './joins.ts';
export * from './moves.ts';
export * from './repeats.ts';
export * from './slices.ts';
export * from './views.ts';
