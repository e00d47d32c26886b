// SPDX-License-Identifier: MIT
/* What a duplicate would cost and what speaks against it: nothing is done to the process. */
#include <errno.h>
#include <string.h>
#include "preflight/estimate.h"
#include "preflight/preflight.h"
#include "area.h"
#include "held.h"
#include "operations.h"

#define CALIBRATE_RESULTS(R)	R(protect_ns) R(unprotect_ns)
OPERATION(calibrate, CALIBRATE_RESULTS)
{
	int64_t protect_ns = 0, unprotect_ns = 0;
	int err = ps_precopy_calibrate(&protect_ns, &unprotect_ns);

	*result = (struct calibrate_results){ .protect_ns = protect_ns, .unprotect_ns = unprotect_ns };
	return err;
}

#define CHECK_RESULTS(R) \
	R(reasons) R(threads) R(resident_kib) R(tables_kib) R(growth_kib) R(headroom_kib) R(pause_ns)

/* Asked with: the purpose. Data: struct ps_reason, as many as there are. */
OPERATION(check, CHECK_RESULTS)
{
	struct ps_preflight preflight;
	int refused;

	if (watches())	/* its watch uses what would be gathered anew */
		return ps_fail(-EBUSY, "this tracer watches over a duplicate: check with another");
	refused = ps_preflight(request->pid, request->argument[0], &preflight);
	if (check_length(sizeof(preflight.reason)))
		return -EINVAL;
	if (!refused)
		preflight.pause_ns = request->argument[0] == PS_FOR_PRECOPY ?
			ps_estimate_stop_ns(&preflight) :
			ps_estimate_pause_ns(request->pid, &preflight, ps_anonymous_kib());
	memcpy(data, preflight.reason, sizeof(preflight.reason));
	*result = (struct check_results){
		.reasons = preflight.reasons, .threads = preflight.threads, .resident_kib = preflight.resident_kib,
		.tables_kib = preflight.tables_kib, .growth_kib = preflight.growth_kib, .headroom_kib = preflight.headroom_kib,
		.pause_ns = preflight.pause_ns,
	};
	return 0;
}
