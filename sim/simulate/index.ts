/** What `import … from 'drey/sim'` gives. */
export { simulate, SimulationFailed } from './simulate.ts';
export type { Simulated, SimulatedFaults, SimulatedInput, SimulateOptions } from './simulate.ts';
