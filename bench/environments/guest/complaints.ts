/** What a kernel's log holds that no sound kernel says. Pure. */

const COMPLAINT = new RegExp([
	// Where the kernel itself begins a report: after the time, and nothing else.
	String.raw`^(?:BUG|WARNING|UBSAN|KASAN|KCSAN|INFO): `, String.raw`\bBUG: `,
	String.raw`\bWARNING: (?:CPU|possible|suspicious|inconsistent|bad|lock|nested|at)`,
	String.raw`\bOops: `, 'Kernel panic', 'general protection fault', 'unable to handle', 'INFO: task .* blocked',
	'suspicious RCU usage', String.raw`kmemleak: \d+ new suspected`, 'page allocation failure',
	'Bad page (?:state|map)', 'scheduling while atomic',
	'refcount_t: ', 'list_(?:add|del) corruption', '(?:Redzone|Poison) overwritten', 'Bad rss-counter',
	'non-zero pgtables_bytes',
].join('|'));

const TIME = /^\s*(?:<\d+>)?\[[\s\d.]+\](?:\[[^\]]*\])?\s*/;

/** The lines that complain, without their times, each once. */
export function findComplaints(log: string): string[] {
	return [
		...new Set(log.split('\n').map((line) => line.replace(TIME, '').trim()).filter((line) => COMPLAINT.test(line))),
	];
}

/** The end of a console's text, as a person wants to see it below an error. */
export function tailOf(text: string, lines = 15): string {
	const all = text.replace(/\r/g, '').replace(/\x1b(?:\[[\d;?]*[A-Za-z]|c)/g, '').split('\n')
		.map((line) => line.trimEnd()).filter((line) => line !== '');
	return all.slice(-lines).map((line) => `  ${line}`).join('\n') || '  (nothing)';
}
