// The page of one contender: hands its measuring side to the driver.
import { makeHost } from './measure.mjs';

globalThis.host = makeHost();
document.title = 'ready';
