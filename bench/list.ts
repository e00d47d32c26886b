/** What `--list` shows. */
import type { Environment } from './environments/environment.ts';
import type { Mechanism, Experiment, ProfileName } from './types.ts';

const PROFILE_HELP: Record<ProfileName, string> = {
	smoke: 'few rounds, within a minute: shows that everything works',
	paper: 'the paper\'s rounds; the default',
};

export function describeChoices(
	experiments: Experiment[], mechanisms: readonly Mechanism[], environments: Environment[],
	profiles: readonly ProfileName[]
): string {
	return [
		section('Experiments', experiments.map(({ name, title, question }) => [name, `${title}: ${question}`])),
		section(
			'Mechanisms (--backend)',
			mechanisms.map(({ name, title, unavailable }) => [name, usability(title, unavailable())])
		),
		section(
			'Environments',
			environments.map((environment) =>
				[
					environment.name,
					usability(`${environment.title}${labelled(environment)}`, environment.unavailable()),
				])
		),
		section('Profiles', profiles.map((name) => [name, PROFILE_HELP[name]])),
	].join('\n');
}

function section(title: string, entries: Array<[string, string]>): string {
	const width = Math.max(0, ...entries.map(([name]) => name.length));
	const lines = entries.map(([name, text]) => `  ${name.padEnd(width)}  ${text}\n`);
	return `${title}\n${lines.join('') || '  none\n'}`;
}

/** Of a guest only booting it can tell. */
function labelled(environment: Environment): string {
	const label = environment.label();
	return label === null ? '' : ` (${label.label})`;
}

function usability(title: string, reason: string | null): string {
	return reason === null ? title : `${title}. NOT USABLE HERE: ${reason}`;
}
