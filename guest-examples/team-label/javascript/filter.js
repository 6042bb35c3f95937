// Adds a `team` label by the beginning of a service's name, and drops the series of some namespaces.

import { log } from 'flamegate:filter/log@0.1.0';

const RULES = 'write "team PREFIX TEAM" or "drop NAMESPACE"';

let teams = []; // the beginning of a service's name, and its team; the first that fits decides
let dropped = new Set();

export const lifecycle = {
  describe() {
    return { name: 'team-label', version: '0.1.0', deterministic: true };
  },

  // What is thrown is shown to the user.
  configure(config) {
    for (const [index, line] of config.split('\n').entries()) {
      const words = line.match(/[^ \t\r]+/g) ?? [];
      const [kind, ...rest] = words;
      if (kind === undefined || kind.startsWith('#')) continue;
      if (kind === 'team' && rest.length === 2) teams.push({ prefix: rest[0], team: rest[1] });
      else if (kind === 'drop' && rest.length === 1) dropped.add(rest[0]);
      else throw `line ${index + 1}: ${RULES}, not "${line.replace(/^[ \t\r]+|[ \t\r]+$/g, '')}"`;
    }
    if (teams.length === 0 && dropped.size === 0) throw `no rules: ${RULES}`;
  },
};

export const filterLabels = {
  apply(labels) {
    try {
      return decide(labels);
    } catch (error) {
      log('error', `${error}\n${error.stack}`); // what it says would go nowhere else
      throw error;
    }
  },
};

function decide(labels) {
  const value = (name) => labels.find((label) => label.name === name)?.value;
  if (dropped.has(value('namespace'))) return { tag: 'drop', val: 'namespace' };
  if (value('team') !== undefined) return { tag: 'unchanged' };
  const service = value('service_name') ?? '';
  const rule = teams.find(({ prefix }) => service.startsWith(prefix));
  if (rule === undefined) return { tag: 'unchanged' };
  return { tag: 'patch', val: { set: [{ name: 'team', value: rule.team }], remove: [] } };
}
