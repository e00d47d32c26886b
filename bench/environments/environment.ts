/**
 * A place to measure in. `host` is this machine under the kernel that it runs;
 * a guest that boots another kernel has the same interface and runs the same
 * code inside.
 */
import type { Screen } from '../runner/progress.ts';
import type { Interrupt } from '../runner/interrupt.ts';
import type { Dropped } from '../runner/run.ts';
import type { Manifest } from '../store/manifest.ts';
import type { Backend, Experiment, ProfileName } from '../types.ts';
import type { Labelled } from './label.ts';

/** What the user asked for. Which mechanisms can be used only the environment knows. */
export interface Request {
	profile: ProfileName;
	seed: number;
	/** Folder for the run, instead of results/runs/<id>. */
	out: string | undefined;
	experiments: Experiment[];
	backends: Backend[];
	/** As chosen on the command line: an empty list is everything. */
	options: Manifest['options'];
}

export interface MeasuredRun {
	dir: string;
	status: 'complete' | 'interrupted';
	failedRounds: number;
	failedBlocks: number;
	dropped: Dropped[];
}

export interface Environment {
	name: string;
	title: string;
	/** null if it can be used here, otherwise why not and what to do. */
	unavailable: () => string | null;
	label: () => Labelled;
	/** Measures, and leaves a run's folder with manifest and samples. Throws Failure if nothing could be measured. */
	measure: (request: Request, screen: Screen, interrupt: Pick<Interrupt, 'requested'>) => Promise<MeasuredRun>;
}
