/** Loaded with `node --import`, also by the children of the process: edits of the source that no mutant makes, from DREY_EDITS, which is JSON. */
import { loadMutant } from '../../sim/mutants/load-mutant.ts';
import type { Edit } from '../../sim/mutants/mutant.ts';

loadMutant({ name: 'edited', historic: '', summary: '', edits: JSON.parse(process.env['DREY_EDITS'] ?? '[]') as Edit[], hunts: [], expects: [] });
