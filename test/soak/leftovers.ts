/** What takes have left behind: looked for when all takers have gone, and again when all targets have. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { commandLine, marked } from '../processes.ts';

interface Process { pid: number; parent: number; state: string; session: number; tracer: number }

/** All that there are, by one look. */
function processes(): Process[] {
	return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((name) => {
		try {
			// The name in parentheses may hold anything.
			const fields = readFileSync(`/proc/${name}/stat`, 'latin1').replace(/^.*\)\s/s, '').split(' ');
			const tracer = /^TracerPid:\s*(\d+)/m.exec(readFileSync(`/proc/${name}/status`, 'latin1'))?.[1];
			return [
				{
					pid: Number(name), state: fields[0]!, parent: Number(fields[1]), session: Number(fields[3]),
					tracer: Number(tracer),
				},
			];
		} catch {
			return [];
		}
	});
}

export interface Watched {
	name: string;
	/** The leader of its session, and the process that was taken. */
	pid: number;
	taken: () => number;
	childless: boolean;
}

/** Zombies and children come and go with targets that make some: what is there for so long is left over. */
const LASTING_MS = 2500;
/** A tracer whose requester is gone stays for calls that it has put back, at most a minute. */
const TRACERS_MS = 75_000;

/** Living tracers of ours, after a wait for those that are about to go. */
export async function tracersLeft(mark: string, ms = TRACERS_MS): Promise<string[]> {
	const found = (): number[] => marked(mark).filter((pid) => commandLine(pid).includes('procsnap-tracer'));
	for (const until = Date.now() + ms; Date.now() < until && found().length > 0;) await sleep(100);
	return found().map((pid) => `tracer ${pid} is still there: ${commandLine(pid)}`);
}

/** At living targets: whoever traces them, duplicates and zombies among their children. */
export async function leftAtTargets(targets: readonly Watched[]): Promise<string[]> {
	const look = (): Map<string, string> => new Map(processes().flatMap((process): Array<[string, string]> => {
		const target = targets.find(({ pid }) => pid === process.session);
		if (target === undefined) return [];
		const key = (what: string): string => `${process.pid} ${what}`;
		if (process.tracer !== 0)
			return [
				[
					key('traced'),
					`${target.name}: process ${process.pid} (state ${process.state}) is traced by ${process.tracer}`,
				],
			];
		if (process.state === 'Z')
			return [[key('zombie'), `${target.name}: process ${process.pid} is a zombie child of ${process.parent}`]];
		if (target.childless && process.parent === target.taken())
			return [
				[
					key('child'),
					`${target.name}: process ${process.pid} (state ${process.state}) is a child that it did not make`,
				],
			];
		return [];
	}));
	const first = look();
	await sleep(LASTING_MS);
	return [...look()].filter(([key]) => first.has(key)).map(([, text]) => text);
}

/** Processes of the soak's when all is ended. They are ended, too. */
export async function strays(mark: string, ms = 5000): Promise<string[]> {
	for (const until = Date.now() + ms; Date.now() < until && marked(mark).length > 0;) await sleep(50);
	return marked(mark).map((pid) => {
		const text = `process ${pid} is still there: ${commandLine(pid).slice(0, 100)}`;
		try {
			process.kill(pid, 'SIGKILL');
		} catch {
			// it has gone by itself
		}
		return text;
	});
}
