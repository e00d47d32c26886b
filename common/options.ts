/** The command line's options. An unknown one is an error of one line that names the valid ones. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { UsageError } from './errors.ts';

export interface Option {
	/** `flag` takes no value, `one` takes one, `many` may be repeated. */
	kind: 'flag' | 'one' | 'many';
	/** How the value is called in the help: `N`. */
	value?: string;
	help: string;
}

export interface Parsed<Name extends string> {
	flags: Set<Name>;
	/** The values given, in order; the last one counts where only one may be given. */
	values: Partial<Record<Name, string[]>>;
	positionals: string[];
}

/** parseArgs finds the options; what is wrong with them is said here, in one line. */
export function parseOptions<Name extends string>(
	args: string[], options: Record<Name, Option>, positionals = 0
): Parsed<Name> {
	const names = Object.keys(options) as Name[];
	const { tokens } = parseArgs({
		args,
		options: Object.fromEntries(names.map((name) =>
			[name, { type: options[name].kind === 'flag' ? 'boolean' as const : 'string' as const }])),
		strict: false,
		tokens: true,
	});
	const parsed: Parsed<Name> = { flags: new Set(), values: {}, positionals: [] };
	for (const token of tokens) {
		if (token.kind === 'positional') {
			parsed.positionals.push(token.value);
		} else if (token.kind === 'option') {
			const name = names.find((known) => known === token.name);
			if (name === undefined) {
				throw new UsageError(
					`unknown option ${token.rawName}: the options are ${names.map((known) => `--${known}`).join(', ')}`
				);
			}
			const { kind, value: placeholder = 'VALUE' } = options[name];
			if (kind === 'flag') {
				if (token.value !== undefined) {
					throw new UsageError(`--${name} takes no value`);
				}
				parsed.flags.add(name);
			} else if (token.value === undefined || token.value === '' ||
				(!token.inlineValue && token.value.startsWith('-'))) {
				throw new UsageError(`--${name} needs a value: --${name} ${placeholder}`);
			} else {
				(parsed.values[name] ??= []).push(token.value);
			}
		}
	}
	const extra = parsed.positionals[positionals];
	if (extra !== undefined) {
		const there = positionals === 0 ? 'there are only options' : 'there is one argument and the options';
		const known = names.map((name) => `--${name}`).join(', ');
		throw new UsageError(`unexpected argument "${extra}": ${there} ${known}`);
	}
	return parsed;
}

/** Throws a usage error that lists the valid names unless this is one of them. */
export function expectOneOf<Name extends string>(what: string, name: string, valid: readonly Name[]): Name {
	const found = valid.find((known) => known === name);
	if (found === undefined) {
		const names = [...new Set(valid)];
		throw new UsageError(
			`unknown ${what} "${name}": there ` +
				`${names.length === 1 ? 'is' : 'are'} ${names.join(', ') || 'none'}`
		);
	}
	return found;
}

/** A whole number, from `least` to `most`. */
export function countOption(name: string, text: string, least: number, most: number): number {
	const value = Number(text);
	if (!/^\d+$/.test(text) || value < least || value > most) {
		throw new UsageError(`--${name} ${text}: it is a whole number from ${least} to ${most}`);
	}
	return value;
}

const UNITS: Record<string, number> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** A number of bytes, `800K`, `20M`, `1.5G`, of at least `least`. */
export function bytesOption(name: string, text: string, least: number): number {
	const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([KMGT]?)$/i.exec(text) ?? [];
	const value = Math.floor(Number(number) * (UNITS[unit.toUpperCase()] ?? NaN));
	if (!Number.isSafeInteger(value) || value < least)
		throw new UsageError(`--${name} ${text}: it is a number of bytes from ${least} on, such as 800K, 20M or 1G`);
	return value;
}

/** `--profile NAME   help`, one line each. */
export function helpFor(options: Record<string, Option>): string {
	const left = Object.entries(options)
		.map(([name, { kind, value }]) => `--${name}${kind === 'flag' ? '' : ` ${value ?? 'VALUE'}`}`);
	const width = Math.max(...left.map((text) => text.length));
	return Object.values(options).map(({ help }, index) => `  ${left[index]?.padEnd(width)}  ${help}\n`).join('');
}

/** A path as the user meant it: npm changes to the project's folder and notes where it was called. */
export function userPath(path: string, env = process.env): string {
	const project = fileURLToPath(new URL('../package.json', import.meta.url));
	const calledIn = env['npm_package_json'] === project ? env['INIT_CWD'] : undefined;
	return resolve(calledIn ?? '.', path);
}
