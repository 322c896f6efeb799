import { type Fault, quote } from '../core/errors.ts';
import { covers, type Prefix, PrefixTable } from '../core/prefix-rules.ts';
import { configFault } from './fault.ts';
import type { Config } from './schema.ts';

/**
 * What does not go together though each setting is good by itself. `config` lacks the settings that are
 * not; `raw` tells them from those that nobody wrote.
 */
export function relationFaults(config: Partial<Config>, raw: Record<string, unknown>): Fault[] {
  return [
    ...missingTargets(config, raw),
    ...mapUrlFaults(config),
    ...clientFaults(config),
    ...forbiddenTargets(config),
    ...prefixFaults(config.prefixes ?? []),
  ];
}

function missingTargets(config: Partial<Config>, raw: Record<string, unknown>): Fault[] {
  const { procurement, containerRegistryBase, prefixes = [] } = config;
  const isBad = (key: keyof Config): boolean => key in raw && !(key in config);
  const hasTarget =
    containerRegistryBase !== undefined ||
    prefixes.length > 0 ||
    isBad('containerRegistryBase') ||
    isBad('prefixes');
  if (procurement !== 'prefix' || hasTarget) {
    return [];
  }
  const message =
    'procurement: prefix needs containerRegistryBase or at least one entry of prefixes';
  return [configFault('CONFIG_INCOMPLETE', ['containerRegistryBase'], message)];
}

function mapUrlFaults({ procurement, imageMap }: Partial<Config>): Fault[] {
  if (imageMap === undefined) {
    return [];
  }
  const { url, urlFile } = imageMap;
  if (procurement === 'map' && url === '' && urlFile === '') {
    const message = 'procurement: map needs imageMap.url or imageMap.urlFile';
    return [configFault('CONFIG_INCOMPLETE', ['imageMap', 'url'], message)];
  }
  return url !== '' && urlFile !== ''
    ? [configFault('CONFIG_VALUE_INVALID', ['imageMap', 'urlFile'], 'set url or urlFile, not both')]
    : [];
}

function clientFaults({ server }: Partial<Config>): Fault[] {
  const namesNobody = server === undefined || server.tls.clientSubjects.length === 0;
  if (namesNobody || server.tls.clientCAFile !== '') {
    return [];
  }
  // Whoever names the callers believes that nobody else can call.
  const message = 'clientSubjects needs clientCAFile; without it everybody may call';
  return [configFault('CONFIG_INCOMPLETE', ['server', 'tls', 'clientCAFile'], message)];
}

function forbiddenTargets(config: Partial<Config>): Fault[] {
  const { allowedTargets = [], containerRegistryBase, prefixes = [] } = config;
  if (allowedTargets.length === 0) {
    return [];
  }
  const allowed = new PrefixTable<true>();
  for (const { value } of allowedTargets) {
    allowed.set(value, true);
  }
  const names = allowedTargets.map(({ value }) => value).join(', ');
  const check = (target: Prefix, path: readonly PropertyKey[]): Fault[] => {
    const message = `${quote(target.text)} lies outside allowedTargets (${names})`;
    return allowed.longest(target.value) === undefined
      ? [configFault('CONFIG_TARGET_FORBIDDEN', path, message)]
      : [];
  };
  return [
    ...(containerRegistryBase === undefined
      ? []
      : check(containerRegistryBase, ['containerRegistryBase'])),
    ...prefixes.flatMap(({ target }, index) => check(target, ['prefixes', index, 'target'])),
  ];
}

function prefixFaults(prefixes: Config['prefixes']): Fault[] {
  return prefixes.flatMap(({ source, target }, index) => {
    const faults: Fault[] = [];
    const twin = prefixes.findIndex((other) => other.source.value === source.value);
    if (twin < index && prefixes[twin]?.target.value !== target.value) {
      const message = `${quote(source.text)} is also the source of prefixes[${twin}], with another target`;
      faults.push(configFault('CONFIG_VALUE_INVALID', ['prefixes', index, 'source'], message));
    }
    const next = prefixes.findIndex((other) => isMovedAgain(target, other));
    if (next >= 0) {
      const message = `${quote(target.text)} is itself a source: see prefixes[${next}]; let every source point straight at its final target`;
      faults.push(configFault('CONFIG_VALUE_INVALID', ['prefixes', index, 'target'], message));
    }
    return faults;
  });
}

/** Whether `rule` would move what lies under `target`; a rule may move names to below itself. */
function isMovedAgain(target: Prefix, rule: Config['prefixes'][number]): boolean {
  const movesAll =
    covers(rule.source.value, target.value) && !covers(rule.target.value, target.value);
  return movesAll || covers(target.value, rule.source.value);
}

/** Settings that are fine but have no effect; the operator should hear of them. */
export function idleSettings(config: Config): string[] {
  const { procurement, imageMap, prefixes, containerRegistryBase, sources } = config;
  const idle: string[] = [];
  if (procurement !== 'map' && (imageMap.url !== '' || imageMap.urlFile !== '')) {
    idle.push(`imageMap has no effect with procurement: ${procurement}`);
  }
  if (procurement === 'public' && (prefixes.length > 0 || containerRegistryBase !== undefined)) {
    idle.push('prefixes and containerRegistryBase have no effect with procurement: public');
  }
  const isMirrored = ({ value }: Prefix): boolean =>
    containerRegistryBase !== undefined && covers(containerRegistryBase.value, value);
  for (const source of sources.filter(isMirrored)) {
    idle.push(`images of ${source.value} stay as they are: they lie under containerRegistryBase`);
  }
  for (const { source } of prefixes) {
    const meetsScope = sources.some(
      ({ value }) => covers(value, source.value) || covers(source.value, value),
    );
    if (!meetsScope) {
      idle.push(`the prefix rule for ${source.value} has no effect: no entry of sources covers it`);
    }
    if (isMirrored(source)) {
      idle.push(
        `the prefix rule for ${source.value} has no effect: what lies under containerRegistryBase counts as mirrored`,
      );
    }
  }
  return idle;
}
