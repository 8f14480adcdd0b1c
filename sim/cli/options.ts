/** Options and arguments that several commands of `drey sim` have. */
import { InvalidArgumentError } from 'commander';
import { DreyError } from '../../coord/base/errors.ts';
import { didYouMean } from './nearest.ts';

/** Sums of such numbers are exact. */
const MANY = 1e15;

export function wholeNumber(min: number, max = MANY): (text: string) => number {
  return (text) => {
    const n = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(n) || n < min || n > max) throw new InvalidArgumentError(`It must be a whole number from ${min}${max === MANY && !(n > MANY) ? '' : ` to ${max}`}.`);
    return n;
  };
}

export function aboveZero(text: string): number {
  const n = Number(text);
  if (text.trim() === '' || !Number.isFinite(n) || n <= 0) throw new InvalidArgumentError('It must be a number above 0.');
  return n;
}

export function checkScenario(name: string, names: readonly string[]): void {
  if (!names.includes(name)) throw new DreyError('SIM_UNKNOWN_SCENARIO', `there is no scenario "${name}"${didYouMean(name, names) || '; drey sim list shows them'}`);
}

export function checkMutant(name: string, names: readonly string[]): void {
  if (!names.includes(name)) throw new DreyError('SIM_UNKNOWN_MUTANT', `there is no mutant "${name}"${didYouMean(name, names) || '; drey sim mutants --list shows them'}`);
}
