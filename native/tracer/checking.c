// SPDX-License-Identifier: MIT
/* What a duplicate would cost and what speaks against it: nothing is done to the process. */
#include <errno.h>
#include <string.h>
#include "preflight/estimate.h"
#include "preflight/preflight.h"
#include "requests.h"
#include "state.h"

/* index.ts reads the records as they are. */
_Static_assert(sizeof(struct ps_reason) == 256, "REASON_BYTES in index.ts");

int do_check(const struct tracer_request *request, struct tracer_reply *reply)
{
	struct ps_preflight preflight;
	int refused;

	if (duplicate.pid)	/* its watch uses what would be gathered anew */
		return ps_fail(-EBUSY, "this tracer watches over a duplicate: check with another");
	refused = ps_preflight(request->pid, &preflight);
	if (check_length(sizeof(preflight.reason)))
		return -EINVAL;
	if (!refused)
		preflight.pause_ns = ps_estimate_pause_ns(request->pid, &preflight, ps_anonymous_kib());
	memcpy(data, preflight.reason, sizeof(preflight.reason));
	const int64_t result[] = { preflight.reasons, preflight.threads, preflight.resident_kib, preflight.tables_kib,
				   preflight.growth_kib, preflight.headroom_kib, preflight.pause_ns };
	memcpy(reply->result, result, sizeof(result));
	return 0;
}
