/** What this machine has left: /proc/meminfo, proc(5). */
import { readFileSync } from 'node:fs';

/** Bytes that can be had without swapping; null: the kernel does not tell. */
export function availableBytes(): number | null {
	const kib = /^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
	return kib === undefined ? null : 1024 * Number(kib);
}
