/** What people read of a machine: the verdict, then what speaks against it, what is not known, and the rest. Pure. */
import type { Finding, Fitness, Verdict } from './types.ts';

const SAID: Record<Fitness['fit'], string> = { yes: 'yes', no: 'NO', unknown: 'not known' };

/** `tuned`: what `tune` has to say where its settings are still in place. */
export function verdictLines(verdict: Verdict, tuned: string | null): string[] {
	const width = Math.max(...verdict.fitness.map(({ use }) => use.length));
	return [
		'This machine is fit for',
		...verdict.fitness.map((each) => `  ${each.use.padEnd(width)}  ${SAID[each.fit]}${reasons(each)}`),
		...(tuned === null ? [] : ['', tuned]),
	];
}

function reasons({ against, unknown }: Fitness): string {
	const parts = [
		...(against.length > 0 ? [against.join(', ')] : []),
		...(unknown.length > 0 ? [`unknown: ${unknown.join(', ')}`] : []),
	];
	return parts.length === 0 ? '' : `: ${parts.join('; ')}`;
}

export function findingLines(findings: readonly Finding[]): string[] {
	const those = (state: Finding['state']) => findings.filter((finding) => finding.state === state);
	const full = ({ name, title, found, wanted, why, change }: Finding) => [
		`  ${title} (${name})`, `    found   ${found}`, `    wanted  ${wanted}`, `    why     ${why}`,
		`    change  ${change}`,
	];
	const short = ({ title, name, found }: Finding) => [`  ${title} (${name}): ${found}`];
	return [
		...section('Not as wanted', those('not as wanted'), full), ...section('Unknown', those('unknown'), full),
		...section('As wanted', those('as wanted'), short), ...section('For information', those('told'), short),
	];
}

const section = (title: string, findings: Finding[], lines: (finding: Finding) => string[]): string[] =>
	(findings.length === 0 ? [] : ['', `${title} (${findings.length})`, ...findings.flatMap(lines)]);
