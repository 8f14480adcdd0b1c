/** The event loop's time for the client faces. */
import type { FaceTimers } from '../server/client-face.ts';
import { systemTimers } from './system-ports.ts';

export const faceTimers: FaceTimers = { after: systemTimers.after, later: (fn) => void setImmediate(fn) };
