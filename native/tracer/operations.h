/* SPDX-License-Identifier: MIT */
/*
 * What the tracer can be asked for. An operation is declared where it is
 * answered, and nowhere else: the linker puts all of them into one table, which
 * the tracer tells its requester when it is started.
 */
#ifndef PROCSNAP_OPERATIONS_H
#define PROCSNAP_OPERATIONS_H
#include <assert.h>
#include "protocol.h"

struct operation {
	const char *name, *results;	/* " pid take_ns": a blank before each */
	int	(*answer)(const struct tracer_request *request, struct tracer_reply *reply);
};

/* A pointer to @item, in the table that the linker makes of all of that section: __start_SECTION to __stop_SECTION. */
#define IN_TABLE(section_name, item) \
	static const __typeof__(item) *const in_##section_name##_##item \
		__attribute__((used, section(#section_name))) = &item

#define RESULT_FIELD(name)	int64_t name;
#define RESULT_NAME(name)	" " #name

/*
 * OPERATION(stop_copy, STOP_COPY_RESULTS) { ... } is the function that answers:
 * 0, or -errno with a text in ps_error(). It has @request, and fills in @result,
 * a struct stop_copy_results; texts go into @reply. STOP_COPY_RESULTS(R) is
 * R(bytes) R(take_ns) ...: the struct's fields, and the names by which
 * TypeScript has them, takeNs. There the operation is stopCopy, and for
 * struct kind it is op_stop_copy.
 */
#define OPERATION(op, RESULTS) \
	struct op##_results { RESULTS(RESULT_FIELD) }; \
	static_assert(sizeof(struct op##_results) <= TRACER_RESULTS * sizeof(int64_t), \
		#op " has more than TRACER_RESULTS results"); \
	static int do_##op(const struct tracer_request *request, struct tracer_reply *reply, struct op##_results *result); \
	static int answer_##op(const struct tracer_request *request, struct tracer_reply *reply) \
	{ \
		return do_##op(request, reply, (struct op##_results *)reply->result); \
	} \
	static const struct operation op_##op = { #op, "" RESULTS(RESULT_NAME), answer_##op }; \
	IN_TABLE(tracer_operations, op_##op); \
	static int do_##op(const struct tracer_request *request __attribute__((unused)), \
		struct tracer_reply *reply __attribute__((unused)), struct op##_results *result __attribute__((unused)))

#endif
