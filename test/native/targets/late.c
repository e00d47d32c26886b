// SPDX-License-Identifier: MIT
/* late: a tracer that answers each request twice: first as if to the one before, 999, then with its id. */
#include <string.h>
#include <sys/socket.h>
#include "tracer/protocol.h"

int main(void)
{
	struct tracer_reply reply = { 0 };
	struct tracer_request request;

	send(TRACER_SOCKET_FD, &reply, sizeof(reply), MSG_NOSIGNAL);
	while (recv(TRACER_SOCKET_FD, &request, sizeof(request), 0) == sizeof(request)) {
		reply.id = request.id - 1;
		reply.result[0] = 999;
		send(TRACER_SOCKET_FD, &reply, sizeof(reply), MSG_NOSIGNAL);
		reply.id = request.id;
		reply.result[0] = request.pid;
		send(TRACER_SOCKET_FD, &reply, sizeof(reply), MSG_NOSIGNAL);
	}
}
