/**
 * The native core as the rest of the project sees it. Everything that traces a
 * process happens in a small process of its own, the tracer: if this process
 * dies, at whatever moment, the tracer finishes what it has begun, puts the
 * target back, ends the duplicates and goes.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC_RAW, taken in C around the operation
 * itself; the way to the tracer and back is in none of them.
 */
export { WAYS, type Clock, type Way, type XsaveComponent } from './addon.ts';
export type { TracerOptions } from './connection.ts';
export { errnoName, ProcsnapError, type StoppedInVain } from './error.ts';
export type { KeptPages, LeftOut, LeftOutRegion } from './left-out.ts';
export {
	callName, callsIn, NOTHING_DONE, type Calibration, type CallCount, type CallCounts, type Copy, type Duplicate,
	type Ended, type Precopy, type Preflight, type Reason, type Snapshot, type Spell, type ThreadRegisters,
} from './figures.ts';
export {
	allocate, answerSignals, clock, clockSynchronized, dropCached, emptyPart, endProcess, exitNow, lockFile, nameFile,
	nowNs, pinProcess, place, precopyUnavailable, secretDevice, snapUnavailable, xsaveComponents, type Answering,
} from './machine.ts';
export { copiedBytesIn, memoryDevice, pagesOf, partsOf, regionsIn } from './pages.ts';
export { Shared } from './shared-memory.ts';
export { steps, Tracer } from './tracer.ts';
