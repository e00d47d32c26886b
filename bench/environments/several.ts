/** One environment after the other, into one folder. What fails in one leaves the others' results. */
import { Failure } from '../../common/errors.ts';
import type { Screen } from '../runner/progress.ts';
import { createRunId } from '../store/run.ts';
import { createSeveral, type IndexEntry } from '../store/several.ts';
import type { Environment, MeasuredRun, Request } from './environment.ts';

export interface MeasuredPart {
	environment: Environment;
	/** null where it failed before it measured anything. */
	run: MeasuredRun | null;
	failure: string | null;
}

export interface MeasuredSeveral {
	dir: string;
	parts: MeasuredPart[];
	interrupted: boolean;
}

/** Throws Failure if nothing was measured in any of them. */
export async function measureSeveral(
	environments: Environment[], request: Request, screen: Screen, interrupt: { readonly requested: boolean },
	announce: (environment: Environment) => void
): Promise<MeasuredSeveral> {
	const several = createSeveral(createRunId(), request.out);
	const startedAt = new Date().toISOString();
	const parts: MeasuredPart[] = [];
	const writeIndex = () =>
		several.writeIndex({
			startedAt, profile: request.profile,
			environments: environments.map((environment) => entry(environment, parts)),
		});
	for (const environment of environments) {
		if (interrupt.requested) {
			break;
		}
		writeIndex();
		announce(environment);
		const part = await measurePart(
			environment, { ...request, id: several.id, out: several.partDir(environment.folder) }, screen, interrupt
		);
		parts.push(part);
		if (part.failure !== null) {
			screen.write(`procsnap: ${environment.heading}: ${part.failure}\n`);
		}
	}
	if (parts.every(({ run }) => run === null)) {
		several.discard();
		throw new Failure(
			`nothing was measured in any environment:\n${
				parts.map(({ environment, failure }) => `${environment.heading}: ${failure ?? 'no reason given'}`).join('\n')
			}`
		);
	}
	writeIndex();
	return { dir: several.dir, parts, interrupted: interrupt.requested };
}

/** A Failure is written down; a mistake of ours is not, and ends it all. */
async function measurePart(
	environment: Environment, request: Request, screen: Screen, interrupt: { readonly requested: boolean }
): Promise<MeasuredPart> {
	try {
		const run = await environment.measure(request, screen, interrupt);
		return { environment, run, failure: run.failure };
	} catch (error) {
		if (!(error instanceof Failure)) {
			throw error;
		}
		return { environment, run: null, failure: error.message };
	}
}

function entry(environment: Environment, parts: MeasuredPart[]): IndexEntry {
	const part = parts.find((one) => one.environment === environment);
	return {
		folder: environment.folder,
		title: environment.heading,
		// One that is under way has its run's folder as soon as it has anything.
		measured: part === undefined ? false : part.run !== null,
		failure: part === undefined ? 'the run ended before' : part.failure,
	};
}
