/** A piece of HTML, as opposed to text, which becomes HTML only by being escaped. */
export interface Html {
	readonly html: string;
}

type Part = Html | string | number | null | readonly Html[];

/** Text that shows as it is, in an element or in a quoted attribute. */
export function escapeHtml(text: string): string {
	return text
		.replaceAll('&', '&amp;')
		.replaceAll('<', '&lt;')
		.replaceAll('>', '&gt;')
		.replaceAll('"', '&quot;')
		.replaceAll("'", '&#39;');
}

/** Template tag: everything put in is escaped, except what is Html already. null is nothing. */
export function html(strings: TemplateStringsArray, ...parts: Part[]): Html {
	const pieces = strings.map((string, i) => string + (i < parts.length ? write(parts[i] as Part) : ''));
	return { html: pieces.join('') };
}

/** For what is markup by construction: the style sheet, a chart that this program drew. Never for data. */
export function trusted(markup: string): Html {
	return { html: markup };
}

function write(part: Part): string {
	if (part === null) {
		return '';
	}
	if (typeof part === 'string' || typeof part === 'number') {
		return escapeHtml(String(part));
	}
	return 'html' in part ? part.html : part.map((piece) => piece.html).join('');
}
