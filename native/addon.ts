/** The loaded addon and its raw interface, which only native/ knows: native/binding.cc is the other side of it. */
import { createRequire } from 'node:module';
import type { Clock, XsaveComponent } from './machine.ts';

interface Reply { code: number; message: string; left: string; result: BigInt64Array }

interface Addon {
	createShared: (bytes: number) => { fd: number; buffer: ArrayBuffer };
	closeFd: (fd: number) => void;
	futexWake: (buffer: ArrayBuffer, offset: number) => void;
	waitFor: (buffer: ArrayBuffer, offset: number, value: number | bigint, timeoutMs: number) => boolean;
	nowNs: () => bigint;
	clock: () => Clock;
	setAffinity: (tid: number, ...cpus: number[]) => number;
	setFifo: (tid: number, priority: number) => number;
	endProcess: (pid: number, cpu: number) => { killNs: number; reapNs: number };
	startTracer: (path: string, cpu: number, priority: number, dataBytes: number) =>
		{ process: number; pid: number; socket: number; area: ArrayBuffer; hello: Reply };
	request: (socket: number, op: number, pid: number, timeoutNs: number, ...args: Array<number | bigint>) => Reply;
	stopTracer: (socket: number, pid: number) => boolean;
	snapUnavailable: () => string | null;
	callName: (number: number) => string;
	xsaveComponents: () => XsaveComponent[];
	sizes: () => { registersBytes: number; skewOffset: number; flagsOffset: number; generalOffset: number; generalBytes: number; xstateOffset: number; maxThreads: number };
	steps: string[];
}

export const addon = createRequire(import.meta.url)('./build/procsnap.node') as Addon;
export const sizes = addon.sizes();
