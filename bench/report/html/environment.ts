import type { Guest, Manifest } from '../../store/manifest.ts';
import { formatNumber } from '../format.ts';
import type { Report } from '../model.ts';
import { labelOf } from '../view.ts';
import { html, type Html } from './markup.ts';
import { tableFigure } from './table.ts';

const MEANING: Record<Manifest['environment']['label'], string> = {
	'bare-metal': 'a machine of its own, no hypervisor',
	vm: 'a virtual machine: a hypervisor shares the CPU, and what it takes is in the times',
	'nested-vm': 'a virtual machine in a virtual machine: every page-table operation costs more than it would without',
	emulated: 'an emulated CPU: no time here is the time of a real one, only growth with size and ratios say something',
	unknown: 'nothing tells whether this is a machine of its own or a virtual one',
};

const COUNTED =
	'an emulated CPU whose clock counts instructions, one a nanosecond: the same in every run, but without the cost ' +
		'of caches and TLBs';

/** Where it was measured and what of isolation was got, in the terms a reader needs to judge the figures. */
export function environmentBox(manifest: Manifest): Html {
	const { environment, machine, isolation, clock, software } = manifest;
	const entries: Array<[string, Html]> = [
		[
			'CPU',
			html`${machine.cpuModel}, ${machine.cores} ${machine.cores === 1 ? 'core' : 'cores'}, ${formatNumber(machine.memoryBytes / 2 ** 30, 1)} GiB of memory`,
		],
		['Kernel', html`${machine.kernel.release}`],
		...(environment.guest === null ? [] : [['Guest', guestText(environment.guest)] as [string, Html]]),
		[
			'Clock',
			html`${clock.source}; reading it costs ${formatNumber(clock.overheadNs, 1)} ns, resolution ${formatNumber(clock.resolutionNs, 1)} ns`,
		],
		[
			'Isolation',
			html`${isolationText(isolation)}${isolation.reasons.map((reason) => html`<br><span class="quiet">${reason}</span>`)}`,
		],
		...(manifest.memory === undefined
			? []
			: [['Memory', html`${memoryText(manifest.memory)}`] as [string, Html]]),
		['Mechanisms', mechanisms(manifest)],
		['Measured', html`${readableTime(manifest.startedAt)}, profile ${manifest.profile}, seed ${manifest.seed}`],
		['procsnap', html`${software.procsnap.version}, ${commitText(software.procsnap)}`],
	];
	return html`<section class="environment" aria-label="Environment">
<p class="label"><span class="badge ${environment.label}">${labelOf(environment)}</span> ${environment.guest?.countInstructions === true ? COUNTED : MEANING[environment.label]}</p>
<dl>
${entries.map(([term, description]) => html`<div><dt>${term}</dt><dd>${description}</dd></div>\n`)}</dl>
</section>
`;
}

/** A run that did not come to its end says so before anything else. */
export function statusNotice({ status, error }: Manifest): Html | null {
	if (status === 'complete') {
		return null;
	}
	const why = status === 'failed'
		? `This run failed${error === null ? '' : `: ${error}`}.`
		: 'This run was interrupted before its end.';
	return html`<p class="notice" role="note">${why} The report has what was measured until then.</p>\n`;
}

/** Where one environment of several failed; what its own manifest says already is not said twice. */
export function failureNotice(failure: string | null, report: Report | null): Html | null {
	if (failure === null) {
		return report === null ? null : statusNotice(report.manifest);
	}
	const [first = '', ...rest] = failure.split('\n');
	return html`<div class="notice" role="note"><p>${report === null ? 'Not measured' : 'Failed; what was measured ' +
		'until then is below'}: ${first}</p>${rest.length === 0 ? null : html`<pre>${rest.join('\n')}</pre>`}</div>\n`;
}

export function readableTime(iso: string): string {
	const match = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})(?::[\d.]+)?Z$/.exec(iso);
	return match === null ? iso : `${match[1]} ${match[2]} UTC`;
}

function guestText({ accelerator, reason, qemu, kernel, cpus, memoryMiB }: Guest): Html {
	const how = accelerator === 'kvm' ? 'KVM' : 'every instruction emulated (TCG)';
	return html`QEMU ${qemu}, ${how}, ${cpus} ${cpus === 1 ? 'CPU' : 'CPUs'}, ${memoryMiB} MiB, kernel ${kernel}${reason === null ? null : html`<br><span class="quiet">not KVM: ${reason}</span>`}`;
}

/** Whether memory that the hypervisor gives late is in the figures. */
export function memoryText({ neededBytes, warmed, why, atEnd }: NonNullable<Manifest['memory']>): string {
	if (warmed === null) return `not touched before the run (${why}): what a first touch costs here is in the figures`;
	const mib = (bytes: number) => `${formatNumber(bytes / 2 ** 20, 0)} MiB`;
	const page = (ns: number) => `${formatNumber(ns / 1e3, 1)} µs`;
	const cost = `${page(warmed.freshMeanNs)} a page on the average (median ${page(warmed.freshMedianNs)}), and ` +
		`${page(warmed.againMeanNs)} (${page(warmed.againMedianNs)}) when touched again`;
	const part = warmed.bytes < neededBytes
		? `; the largest variant needs ${mib(neededBytes)}, so some of its pages may be touched for the first time`
		: '';
	const end = atEnd === undefined || atEnd === null
		? ''
		: `; after the last block ${page(atEnd.freshMeanNs)} (${page(atEnd.freshMedianNs)}) and ` +
			`${page(atEnd.againMeanNs)} (${page(atEnd.againMedianNs)})`;
	return `${mib(warmed.bytes)} were touched before the run: ${cost}${part}${end}`;
}

/** How the machine was at each block: folded, and before it which were repeated. */
export function blocksBox({ blocks }: Report, prefix: string): Html | null {
	if (blocks === undefined) return null;
	return html`<p class="quiet">${blocks.disturbed ?? 'No block was disturbed by a gap beyond the limit; none was repeated.'}</p>
<details class="all"><summary>The machine before and after each block</summary>
${tableFigure(blocks.table, `${prefix}blocks`)}</details>
`;
}

function isolationText(isolation: Manifest['isolation']): string {
	const pinned = isolation.targetCpu === isolation.requesterCpu
		? `target and requester share CPU ${isolation.targetCpu}`
		: `target on CPU ${isolation.targetCpu}, requester on CPU ${isolation.requesterCpu}`;
	return `${pinned}; SCHED_FIFO ${fifo(isolation)}`;
}

function fifo({ fifoTarget, fifoTracer }: Manifest['isolation']): string {
	if (fifoTarget && fifoTracer) {
		return 'for both';
	}
	return fifoTarget ? 'for the target only' : fifoTracer ? 'for the requester only' : 'for neither';
}

function mechanisms({ backends }: Manifest): Html {
	const lines = backends.map(({ name, unavailable }) =>
		html`<li>${name}${unavailable === null ? null : html` <span class="quiet">not available: ${unavailable}</span>`}</li>`);
	return html`<ul>${lines}</ul>`;
}

function commitText({ commit, dirty }: Manifest['software']['procsnap']): string {
	if (commit === null) {
		return 'commit not known';
	}
	return `commit ${commit.slice(0, 12)}${dirty === true ? ', with changes that are not committed' : ''}`;
}
