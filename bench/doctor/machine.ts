/** This machine, for the checks: its files are read, and its floors measured. Nothing is written. */
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { codeOf, messageOf } from '../../common/errors.ts';
import { allowedCpus, planIsolation } from '../environments/isolation.ts';
import { describeHere } from '../environments/here.ts';
import { pathsIn } from '../tune/tree.ts';
import { probeFirstTouch, probeGaps, probeSmall, type Floors } from '../targets/probes.ts';
import type { Found, Machine } from './types.ts';

/** All of it together: what is not measured by then is unknown. */
const PATIENCE_MS = 17_000;
const GAPS_MS = 3000;
const TOUCH_BYTES = 256 << 20;
const TOUCH_MS = 3000;
/** Of what is free, so that nobody has to make room. */
const TOUCH_SHARE = 1 / 8;
const PRIORITY = 10;

export async function thisMachine(): Promise<Machine> {
	const { label, evidence } = describeHere().environment;
	const files = { file, paths: (pattern: string) => pathsIn('/', pattern) };
	return { ...files, label, evidence, cpus: allowedCpus(), floors: await measureFloors() };
}

async function measureFloors(): Promise<Floors> {
	const { targetCpu, requesterCpu, fifoTarget } = planIsolation();
	const options = { priority: fifoTarget ? PRIORITY : 0, signal: AbortSignal.timeout(PATIENCE_MS) };
	const other = requesterCpu === targetCpu ? undefined : requesterCpu;
	// What was started before it has come to rest by then.
	await setTimeout(100);
	return {
		gaps: await probeGaps(allowedCpus(), GAPS_MS, options),
		firstTouch: await probeFirstTouch(touchBytes(), TOUCH_MS, { ...options, cpu: targetCpu }),
		small: await probeSmall(targetCpu, other, options),
	};
}

const touchBytes = (): number =>
	Math.min(TOUCH_BYTES, Math.floor(process.availableMemory() * TOUCH_SHARE / 4096) * 4096);

const WHY: Record<string, string> = {
	ENOENT: 'there is no such file', EACCES: 'permission denied', EPERM: 'not permitted',
};

function file(path: string): Found {
	try {
		return { text: readFileSync(path, 'utf8').trim() };
	} catch (error) {
		const code = codeOf(error) ?? '';
		return { why: WHY[code] ?? messageOf(error), absent: code === 'ENOENT' };
	}
}
