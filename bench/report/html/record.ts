import type { Json } from '../../types.ts';
import { html, type Html } from './markup.ts';

/** Any record as a definition list, records in it as lists in it. */
export function recordList(record: { [key: string]: Json }): Html {
	const entries = Object.entries(record)
		.map(([key, value]) => html`<div><dt>${words(key)}</dt><dd>${jsonValue(value)}</dd></div>\n`);
	return html`<dl class="record">\n${entries}</dl>`;
}

function jsonValue(value: Json): Html {
	if (value === null) {
		return html`<span class="none">none</span>`;
	}
	if (Array.isArray(value)) {
		return value.length === 0
			? html`<span class="none">none</span>`
			: html`<ul>${value.map((item) => html`<li>${jsonValue(item)}</li>`)}</ul>`;
	}
	if (typeof value === 'object') {
		return Object.keys(value).length === 0 ? html`<span class="none">none</span>` : recordList(value);
	}
	return html`${String(value)}`;
}

/** `schedRtRuntimeUs` to `sched rt runtime us`; names that are no identifiers stay. */
function words(key: string): string {
	return /^[a-z][A-Za-z0-9]*$/.test(key) ? key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`) : key;
}
