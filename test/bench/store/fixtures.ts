/** A manifest and a block as they are on the disk. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Manifest } from '../../../bench/store/manifest.ts';
import type { Block } from '../../../bench/types.ts';

export function aManifest(changes: Partial<Manifest> = {}): Manifest {
	return {
		schemaVersion: 1,
		id: '20260102T030405Z-0a1b2c',
		status: 'complete',
		error: null,
		startedAt: '2026-01-02T03:04:05.000Z',
		finishedAt: '2026-01-02T03:05:05.000Z',
		profile: 'smoke',
		seed: 1,
		options: { experiments: [], backends: [] },
		environment: { name: 'host', label: 'vm', evidence: ['hypervisor flag of the CPU: yes'], guest: null },
		experiments: [{ name: 'fake', variants: ['one', 'two'] }],
		backends: [{ name: 'fake', title: 'Fake', unavailable: null }],
		dropped: [],
		isolation: { targetCpu: 0, requesterCpu: 1, fifoTarget: true, fifoTracer: true, reasons: [] },
		clock: { source: 'CLOCK_MONOTONIC_RAW', resolutionNs: 1, overheadNs: 25 },
		machine: {
			cpuModel: 'A CPU', cores: 2, memoryBytes: 1e9, hypervisorFlag: true,
			kernel: { release: '6.1.0', version: '#1 SMP', commandLine: 'quiet' },
			mitigations: { meltdown: 'Not affected' }, governor: null, transparentHugePages: 'madvise', swapBytes: 0,
			clockSource: 'tsc', schedRtRuntimeUs: 950_000, yamaPtraceScope: null, overcommitMemory: 0,
		},
		software: {
			procsnap: { version: '0.1.0', commit: null, dirty: null }, node: '24.0.0', compiler: 'gcc 12',
			libraries: {},
		},
		...changes,
	};
}

export function aBlock(seq: number, changes: Partial<Block> = {}): Block {
	return {
		seq,
		experiment: 'fake',
		variant: 'one',
		factors: { mechanism: 'one' },
		status: 'ok',
		startedMs: seq * 10,
		warmupRounds: 1,
		samples: { costNs: [9, 5, 4, null], calls: [1, 1, 1, null] },
		failures: [{ round: 3, message: 'gone' }],
		facts: {},
		...changes,
	};
}

/** An empty folder that goes when the test is over. */
export function aFolder(t: ExecutionContext): string {
	const folder = mkdtempSync(join(tmpdir(), 'procsnap test '));
	t.teardown(() => { rmSync(folder, { recursive: true, force: true }); });
	return folder;
}
