/** The bugs that coordination services had, each as a story by its name. Facts of each are in the issue, the fix or the paper that it is named by. */
import type { Scenario } from '../scenario.ts';
import { diskStories } from './disks.ts';
import { epochStories } from './epochs.ts';
import { orchestratorStories } from './orchestrator.ts';
import { sessionStories } from './sessions.ts';
import { snapshotStories } from './snapshot.ts';
import { synchronizationStories } from './synchronization.ts';
import { truncationStories } from './truncation.ts';

export const historicScenarios: readonly Scenario[] = [...synchronizationStories, ...truncationStories, ...snapshotStories, ...epochStories, ...sessionStories, ...diskStories, ...orchestratorStories];
