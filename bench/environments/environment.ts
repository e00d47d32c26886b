/**
 * A place to measure in. `host` is this machine under the kernel that it runs;
 * a guest that boots another kernel has the same interface and runs the same
 * code inside.
 */
import type { Screen } from '../runner/progress.ts';
import type { Interrupt } from '../runner/interrupt.ts';
import type { Dropped } from '../runner/run.ts';
import type { Manifest } from '../store/manifest.ts';
import type { Mechanism, Experiment, ProfileName } from '../types.ts';
import type { Labelled } from './label.ts';

/** What the user asked for. Which mechanisms can be used only the environment knows. */
export interface Request {
	profile: ProfileName;
	seed: number;
	/** Folder for the run, instead of results/runs/<id>. */
	out: string | undefined;
	/** The run's id, where it is one part of several; otherwise it is drawn. */
	id?: string;
	experiments: Experiment[];
	mechanisms: Mechanism[];
	/** As chosen on the command line: an empty list is everything. */
	options: Manifest['options'];
}

export interface MeasuredRun {
	dir: string;
	status: 'complete' | 'interrupted' | 'failed';
	/** Why it is `failed`, or what else is wrong with all of it; null where nothing is. */
	failure: string | null;
	failedRounds: number;
	failedBlocks: number;
	dropped: Dropped[];
}

export interface Environment {
	name: string;
	title: string;
	/** As the heading above its tables: `guest with 1 CPU`. */
	heading: string;
	/** The folder of its part in a run of several environments. */
	folder: string;
	/** null if it can be used here, otherwise why not and what to do. */
	unavailable: () => string | null;
	/** What it turns out to be; null where only booting it can tell. */
	label: () => Labelled | null;
	/** Measures, and leaves a run's folder with manifest and samples. Throws Failure if nothing could be measured. */
	measure: (request: Request, screen: Screen, interrupt: Pick<Interrupt, 'requested'>) => Promise<MeasuredRun>;
}
