import { describe, expect, it } from '@jest/globals';
import { listCommands } from '../../scripts/docs.ts';
import { VERSION } from '../../src/version.ts';
import { type Finished, runProgram } from '../support/program.ts';

const COMMANDS = listCommands().map(({ name, command }) => ({ name, command }));
const GROUPS = [...new Set(COMMANDS.flatMap(({ name }) => name.split(' ').slice(0, -1)))];

function run(args: string): Promise<Finished> {
  return runProgram(args.split(' ').filter((part) => part !== ''));
}

describe('--help', () => {
  it.each(COMMANDS)(
    'of $name tells its purpose, arguments and options',
    async ({ name, command }) => {
      const { code, stdout, stderr } = await run(`${name} --help`);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain(`Usage: sdr-image-rewriter ${name} `);
      const inOneLine = stdout.replaceAll(/\s+/g, ' ');
      expect(inOneLine).toContain(command.description());
      for (const { name: argument, description } of command.registeredArguments.map((each) => ({
        name: each.name(),
        description: each.description,
      }))) {
        expect(inOneLine).toContain(argument);
        expect(inOneLine).toContain(description);
      }
      for (const { flags, description } of command.options) {
        expect(inOneLine).toContain(flags);
        expect(inOneLine).toContain(description);
      }
    },
  );

  it.each(['', ...GROUPS])(
    'of the program, and of "%s", names the commands below',
    async (group) => {
      const { code, stdout } = await run(`${group} --help`);
      expect(code).toBe(0);
      const prefix = group === '' ? '' : `${group} `;
      const below = COMMANDS.filter(({ name }) => name.startsWith(prefix)).map(({ name }) =>
        name.slice(prefix.length).replace(/ .*/, ''),
      );
      expect(below.length).toBeGreaterThan(0);
      for (const name of below) {
        expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
      }
    },
  );

  it.each(COMMANDS)('of $name is shown by help $name, too', async ({ name }) => {
    const [shown, expected] = await Promise.all([run(`help ${name}`), run(`${name} --help`)]);
    expect(shown).toEqual(expected);
  });

  it.each(['-h', 'help', 'help resolve', 'map help lint'])(
    'is there as %s as well',
    async (args) => {
      const { code, stdout } = await run(args);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^Usage: sdr-image-rewriter /);
    },
  );
});

describe('--version', () => {
  it.each(['--version', '-V'])('prints the version for %s', async (option) => {
    expect(await run(option)).toEqual({ code: 0, stdout: `${VERSION}\n`, stderr: '' });
  });
});

describe('wrong use', () => {
  it.each([
    ['an unknown command', 'reslove'],
    ['an unknown command of a group', 'map lnit'],
    ['an unknown option of the program', '--nope'],
    ...COMMANDS.map(({ name }) => [`an unknown option of ${name}`, `${name} --nope`]),
  ])('ends with 2 for %s, with nothing on standard output', async (_title, args) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error: (?:unknown (?:command|option)|required option) /);
    expect(stderr).toContain('--help');
  });

  it.each([
    ['resolve --bogus x', "unknown option '--bogus' (add --help for the options)"],
    ['serve --config x --bogus', "unknown option '--bogus' (add --help for the options)"],
    [
      'resolve --confi x nginx',
      "unknown option '--confi' (did you mean --config? add --help for the options)",
    ],
    ['map lnit', "unknown command 'lnit' (did you mean lint? add --help for the options)"],
    ['resolve', "missing required argument 'image' (add --help for the options)"],
    ['resolve --config', "option '--config <file>' argument missing (add --help for the options)"],
    [
      'export idms x',
      "too many arguments for 'idms'; expected 0 arguments but got 1: x (add --help for the options)",
    ],
    [
      'resolve --output yaml nginx',
      "option '--output <format>' argument 'yaml' is invalid; allowed choices are table, json (add --help for the options)",
    ],
    [
      'rewrite --write --check x',
      "option '--check' cannot be used with option '--write' (add --help for the options)",
    ],
  ])('is told in one sentence that ends in its code: %s', async (args, sentence) => {
    expect(await run(args)).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: ${sentence} [USAGE]\n`,
    });
  });

  it('is told on one line, whatever is in the arguments', async () => {
    const { code, stderr } = await runProgram(['resolve', '--a\nb\u001b[2J', 'nginx']);
    expect(code).toBe(2);
    expect(stderr).toBe(
      "error: unknown option '--a\\nb\\u001b[2J' (add --help for the options) [USAGE]\n",
    );
  });

  it.each(['', ...GROUPS])(
    'ends with 2 and shows the help for no command at all: "%s"',
    async (group) => {
      const { code, stdout, stderr } = await run(group);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(/^Usage: sdr-image-rewriter /);
    },
  );

  it.each(
    COMMANDS.filter(({ command }) => command.registeredArguments.some(({ required }) => required)),
  )('ends with 2 for $name without its arguments', async ({ name }) => {
    const { code, stdout, stderr } = await run(name);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error: (?:missing required argument|required option) /);
  });

  it('ends with 2 for serve without a configuration', async () => {
    expect(await run('serve')).toMatchObject({ code: 2, stdout: '' });
    expect(await run('serve --config no-such-file.yaml')).toMatchObject({ code: 2, stdout: '' });
  });
});
