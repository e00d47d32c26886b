/** Where in the core what lies, and which bytes of it have to be written. */
import type { Run } from '../common/proc/pagemap.ts';
import type { Image } from '../mechanisms/shared/types.ts';
import { layOut, type Content, type CoreLayout } from './evidence/core.ts';
import type { Destination } from './evidence/folder.ts';
import { gapsIn, whatStays } from './evidence/in-place.ts';

/** The file that a copy lies in becomes the core where the destination can do that, and it pays. */
export async function layOutAt(
	destination: Pick<Destination, 'adopt'>, image: Pick<Image, 'inFile'>, contents: readonly Content[], notes: Buffer
): Promise<CoreLayout> {
	const file = destination.adopt === undefined ? undefined : image.inFile?.();
	if (file === undefined) return layOut(contents, notes);
	const layout = layOut(contents, notes, whatStays(contents, file));
	return layout.inPlace === null || await destination.adopt?.(file.path) === true ? layout : layOut(contents, notes);
}

/** What of these bytes is not in the core's file already. */
export function toWrite({ inPlace }: Pick<CoreLayout, 'inPlace'>, { start, end }: Run): Run[] {
	const { start: first, end: last } = inPlace ?? { start: end, end };
	return [{ start, end: Math.min(end, first) }, { start: Math.max(start, last), end }]
		.filter((part) => part.start < part.end);
}

/** What the core's file may have that is no part of the core. */
export const unused = ({ inPlace, contents }: Pick<CoreLayout, 'inPlace' | 'contents'>): Run[] =>
	(inPlace === null
		? []
		: gapsIn(inPlace, contents.flatMap(({ segments }) => segments).filter(({ offset }) => offset < inPlace.end)));

/** The leaves of blocks, in order, all of which lies in place, and is known from before. */
export function knownInPlace(
	layout: Pick<CoreLayout, 'inPlace' | 'contents'>, known: (offset: number, bytes: number) => Uint8Array | null
): (offset: number, bytes: number) => Uint8Array | null {
	const { inPlace } = layout, gaps = unused(layout);
	let next = 0;
	return (offset, bytes) => {
		while ((gaps[next]?.end ?? Infinity) <= offset) next += 1;
		const isInPlace = inPlace !== null && offset >= inPlace.start && offset + bytes <= inPlace.end;
		return isInPlace && (gaps[next]?.start ?? Infinity) >= offset + bytes ? known(offset, bytes) : null;
	};
}
