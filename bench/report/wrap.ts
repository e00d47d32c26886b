/** Text in lines of at most `width`, measured by `measure`; a word that is wider stands alone on its line, uncut. */
export function wrap(
	text: string, width: number, measure: (text: string) => number = (part) => [...part].length
): string[] {
	const lines: string[] = [];
	let line = '';
	for (const word of text.split(/\s+/).filter((part) => part !== '')) {
		const longer = line === '' ? word : `${line} ${word}`;
		if (line !== '' && measure(longer) > width) {
			lines.push(line);
			line = word;
		} else {
			line = longer;
		}
	}
	lines.push(line);
	return lines;
}
