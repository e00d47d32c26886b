import type { FailureSummary } from '../stats/failures.ts';
import type { Manifest } from '../store/manifest.ts';
import type { Chart, Claim, Experiment, Listing, Results, Table } from '../types.ts';

/** A chart that is drawn. */
export type DrawnChart = Chart & { svg: string };

/** One experiment's part of the report. */
export interface Section {
	experiment: Pick<Experiment, 'name' | 'title' | 'question' | 'metrics'>;
	results: Results;
	tables: Table[];
	/** Every variant's summaries, one table for each metric. */
	summaries: Table[];
	charts: DrawnChart[];
	listings: Listing[];
	claims: Claim[];
	failures: FailureSummary[];
}

export interface Report {
	manifest: Manifest;
	sections: Section[];
	/** How the machine was at each block, and which were repeated; missing where that was not looked at. */
	blocks?: { table: Table; disturbed: string | null };
}

/** One environment's part of a report of several. */
export interface Part {
	/** Begins the ids of what is its. */
	folder: string;
	/** `guest with 1 CPU` */
	heading: string;
	/** null where it left nothing to report. */
	report: Report | null;
	/** Why it failed, or what is wrong with it. */
	failure: string | null;
}

export interface SeveralReport {
	id: string;
	startedAt: string;
	parts: Part[];
}
