/** `drey sim list`: what can be run, by name. */
import type { Scenario } from '../scenarios/scenario.ts';

const TITLES: Readonly<Record<Scenario['kind'], string>> = {
  scenario: 'Scenarios: one kind of trouble',
  profile: 'Profiles: each seed draws a random part of a class of faults',
  historic: 'Historic: the story of one bug of ZooKeeper, Kafka or Flink',
};

export function listText(scenarios: readonly Pick<Scenario, 'name' | 'summary' | 'kind'>[]): string {
  const width = Math.max(...scenarios.map(({ name }) => name.length)) + 2;
  return (Object.keys(TITLES) as Scenario['kind'][]).flatMap((kind) => {
    const group = scenarios.filter((each) => each.kind === kind);
    return group.length === 0 ? [] : [[`${TITLES[kind]}:`, ...group.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`)].join('\n')];
  }).join('\n\n');
}
