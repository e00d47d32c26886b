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
	charts: DrawnChart[];
	listings: Listing[];
	claims: Claim[];
	failures: FailureSummary[];
}

export interface Report {
	manifest: Manifest;
	sections: Section[];
}
