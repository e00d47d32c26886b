/** Lists of CPUs as the kernel writes them: cpuset(7), "Formats". */

/** `0-2,5` -> 0, 1, 2, 5. Pure. */
export function parseCpuList(text: string): number[] {
	return text.trim().split(',').filter((part) => part !== '').flatMap((part) => {
		const [first = 0, last = first] = part.split('-').map(Number);
		return Array.from({ length: last - first + 1 }, (_, i) => first + i);
	});
}
