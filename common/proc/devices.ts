/** Devices of file systems, as /proc/PID/maps names them. Pure. */

/** `fd:01`, of what stat(2) gives: makedev(3). */
export const deviceText = (dev: number): string => [
	Math.floor(dev / 2 ** 32) * 4096 + ((dev >>> 8) & 0xfff), (((dev >>> 20) & 0xfff) << 8) | (dev & 0xff),
].map((part) => part.toString(16).padStart(2, '0')).join(':');

/** The types of file systems by device, as a mountinfo (proc_pid_mountinfo(5)) has them. */
export function mountTypes(mountinfo: string): Map<string, string> {
	const types = new Map<string, string>();
	for (const line of mountinfo.split('\n')) {
		const [, major, minor, type] = /^\d+ \d+ (\d+):(\d+) .* - (\S+) /.exec(line) ?? [];
		if (major === undefined || minor === undefined || type === undefined) continue;
		types.set([major, minor].map((part) => Number(part).toString(16).padStart(2, '0')).join(':'), type);
	}
	return types;
}
