/** Apart from the other arguments: it loads the mechanisms and the native core, which receive and verify do without. */
import type { Option } from '../common/options.ts';
import { forEvidence } from '../mechanisms/shared/all.ts';

/** Of the verbs that copy a process. */
export const MECHANISM: Option = {
	kind: 'one', value: 'NAME',
	help: `${forEvidence().map(({ name }) => name).join(' or ')} (default: the first that this machine has)`,
};
