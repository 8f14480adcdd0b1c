/** This machine, as job managers and task managers see it. */
import { nanoid } from 'nanoid';
import { systemClock, systemTimers } from '../../coord/adapters/system-ports.ts';
import type { RuntimePorts } from '../runtime/ports.ts';
import { openStorage } from '../storage/storage.ts';
import { loadBundle } from '../submit/load-bundle.ts';
import { wsSockets } from './ws-sockets.ts';

export const systemPorts: RuntimePorts = { clock: systemClock, timers: systemTimers, sockets: wsSockets, id: nanoid, openStorage, loadBundle };
