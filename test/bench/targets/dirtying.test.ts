/** Pages of a process at rest are dirtied from outside: its next own write takes no fault then. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { mechanism as inject } from '../../../mechanisms/inject.ts';
import { Tracer } from '../../../native/index.ts';
import { dirtyFromOutside } from '../../../bench/targets/dirtying.ts';
import { Workload } from '../../../bench/targets/workload.ts';

/** minflt of proc_pid_stat(5). */
const faultsOf = (pid: number): number =>
	Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')[7]);

test('a process whose pages were dirtied from outside writes to them without faults', async (t) => {
	const tracer = Tracer.start();
	const workload = await Workload.start('resident', ['--rss', '4M', '--pages', '4k', '--cpu', '0']);
	try {
		const faultsOfWriting = (between: () => void): number => {
			workload.dirty();
			inject.open(tracer, workload).end();
			between();
			const before = faultsOf(workload.pid);
			workload.dirty();
			return faultsOf(workload.pid) - before;
		};
		const left = faultsOfWriting(() => undefined);
		// Not one a page: a kernel may take several neighbours at once.
		t.true(left >= 64, `${left} faults with nothing done`);
		const pages = { dirtied: 0 };
		const after = faultsOfWriting(() => { pages.dirtied = dirtyFromOutside(workload.pid); });
		t.true(pages.dirtied >= left - 64, `${pages.dirtied} pages, ${left} faults without it`);
		t.true(after < left / 4, `${after} faults after it, ${left} without`);
	} finally {
		await workload.close();
		tracer.close();
	}
});
