/** What the programs of kernel-patch/tests print, as kernel-patch/tests/run frames it. */
export interface Outcome {
	status: number;
	seconds: number;
	passed: number;
	failed: string[];
	skipped: string[];
	/** Figures and whatever else it says. */
	notes: string[];
	/** Test points that its plan promises; null if it has come to none. */
	planned: number | null;
}

/** Collects lines; calls `ended` with each program's outcome. */
export function createReader(ended: (name: string, outcome: Outcome) => void): (chunk: string) => void {
	let rest = '';
	let current: Outcome | null = null;
	const take = (line: string): void => {
		const end = /^# end (\S+) (\d+) ([\d.]+)$/.exec(line);
		if (/^# begin \S+$/.test(line)) {
			current = { status: -1, seconds: 0, passed: 0, failed: [], skipped: [], notes: [], planned: null };
		} else if (current === null) {
			return;
		} else if (end !== null) {
			ended(end[1] ?? '', { ...current, status: Number(end[2]), seconds: Number(end[3]) });
			current = null;
		} else if (/^ok \d+ .*# SKIP/.test(line)) {
			current.skipped.push(line.replace(/^ok \d+ - /, ''));
		} else if (/^ok \d+/.test(line)) {
			current.passed++;
		} else if (/^not ok \d+/.test(line) || line.startsWith('Bail out!')) {
			current.failed.push(line);
		} else if (/^1\.\.\d+/.test(line)) {
			current.planned = Number(line.split('..')[1]?.split(' ')[0]);
		} else if (line !== '') {
			current.notes.push(line.replace(/^# /, ''));
		}
	};
	return (chunk) => {
		const lines = (rest + chunk).split('\n');
		rest = lines.pop() ?? '';
		lines.forEach(take);
	};
}

/** Why a program's outcome is no success; empty if it is. */
export function faults({ status, passed, failed, skipped, planned }: Outcome): string[] {
	const points = passed + failed.length + skipped.length;
	return [
		...failed,
		...(planned === points && points > 0
			? []
			: [`${points} test points of ${planned ?? 'an unknown number'}: it ended too early`]),
		...(status === 0
			? []
			: [`exit status ${status}${status === 124 || status === 137 ? ': it hung, and was ended' : ''}`]),
	];
}
