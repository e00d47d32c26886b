// SPDX-License-Identifier: MIT
// The one file that knows Node-API: arguments in, numbers and arrays out.
// What it exports is typed in addon.ts, and explained in the files that use it.
#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <functional>
#include <linux/futex.h>
#include <memory>
#include <napi.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/timex.h>
#include <string>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>
extern "C" {
#include "core/pages.h"
#include "tracer/protocol.h"
}

namespace {

[[noreturn]] void fail(Napi::Env env, const std::string &what, int error)
{
	throw Napi::Error::New(env, what + ": " + std::strerror(error));
}

int64_t integer(const Napi::CallbackInfo &info, size_t index)
{
	bool lossless;
	Napi::Value value = info[index];

	if (value.IsBigInt()) {
		uint64_t bits = value.As<Napi::BigInt>().Uint64Value(&lossless);

		return static_cast<int64_t>(bits);
	}
	return value.IsNumber() ? value.As<Napi::Number>().Int64Value() : 0;
}

// A memfd, mapped shared and handed to JavaScript as an ArrayBuffer.
Napi::Object share(Napi::Env env, size_t bytes)
{
	int fd = memfd_create("procsnap", MFD_CLOEXEC);
	void *memory;

	if (fd < 0 || ftruncate(fd, bytes))
		fail(env, "no shared memory of " + std::to_string(bytes) + " bytes", errno);
	memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		int error = errno;

		close(fd);
		fail(env, "shared memory cannot be mapped", error);
	}
	Napi::Object result = Napi::Object::New(env);
	result["fd"] = Napi::Number::New(env, fd);
	result["buffer"] =
		Napi::ArrayBuffer::New(env, memory, bytes, [bytes](Napi::Env, void *data) { munmap(data, bytes); });
	return result;
}

Napi::Value create_shared(const Napi::CallbackInfo &info)
{
	return share(info.Env(), integer(info, 0));
}

Napi::Value close_fd(const Napi::CallbackInfo &info)
{
	close(integer(info, 0));
	return info.Env().Undefined();
}

uint32_t *word(const Napi::CallbackInfo &info)
{
	Napi::ArrayBuffer buffer = info[0].As<Napi::ArrayBuffer>();
	size_t offset = integer(info, 1);

	if (offset + sizeof(int64_t) > buffer.ByteLength())
		throw Napi::RangeError::New(info.Env(), "offset outside of the shared memory");
	return reinterpret_cast<uint32_t *>(static_cast<char *>(buffer.Data()) + offset);
}

Napi::Value futex_wake(const Napi::CallbackInfo &info)
{
	syscall(SYS_futex, word(info), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
	return info.Env().Undefined();
}

// Sleep until the 64-bit number at the offset is at least `value`: true, or false when the time is over.
Napi::Value wait_for(const Napi::CallbackInfo &info)
{
	const int64_t *number = reinterpret_cast<const int64_t *>(word(info));
	int64_t value = integer(info, 2), until = ps_now_ns() + integer(info, 3) * 1000000;
	const struct timespec nap = { 0, 20000 };
	bool reached;

	while (!(reached = __atomic_load_n(number, __ATOMIC_ACQUIRE) >= value) && ps_now_ns() < until)
		nanosleep(&nap, nullptr);
	return Napi::Boolean::New(info.Env(), reached);
}

Napi::Value now_ns(const Napi::CallbackInfo &info)
{
	return Napi::BigInt::New(info.Env(), ps_now_ns());
}

Napi::Value clock(const Napi::CallbackInfo &info)
{
	Napi::Object result = Napi::Object::New(info.Env());

	result["source"] = Napi::String::New(info.Env(), "CLOCK_MONOTONIC_RAW");
	result["resolutionNs"] = Napi::Number::New(info.Env(), ps_clock_resolution_ns());
	result["overheadNs"] = Napi::Number::New(info.Env(), ps_clock_overhead_ns(1001));
	return result;
}

// setAffinity(tid, cpu...): 0 or a negative errno.
Napi::Value set_affinity(const Napi::CallbackInfo &info)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	for (size_t i = 1; i < info.Length(); i++)
		CPU_SET(integer(info, i), &cpus);
	return Napi::Number::New(info.Env(), sched_setaffinity(integer(info, 0), sizeof(cpus), &cpus) ? -errno : 0);
}

Napi::Value set_fifo(const Napi::CallbackInfo &info)
{
	struct sched_param param = {};

	param.sched_priority = integer(info, 1);
	return Napi::Number::New(info.Env(), sched_setscheduler(integer(info, 0), SCHED_FIFO, &param) ? -errno : 0);
}

bool receive(int socket, tracer_reply &reply)
{
	ssize_t got;

	do
		got = recv(socket, &reply, sizeof(reply), 0);
	while (got < 0 && errno == EINTR);
	return got == sizeof(reply);
}

Napi::Object describe(Napi::Env env, const tracer_reply &reply)
{
	Napi::Object result = Napi::Object::New(env);
	Napi::Array numbers = Napi::Array::New(env, TRACER_RESULTS);

	for (uint32_t i = 0; i < TRACER_RESULTS; i++)
		numbers[i] = Napi::Number::New(env, reply.result[i]);
	result["code"] = Napi::Number::New(env, reply.code);
	result["message"] = Napi::String::New(env, reply.message);
	result["left"] = Napi::String::New(env, reply.left);
	result["results"] = numbers;
	return result;
}

// end_process(pid, cpu): kill it, wait until its memory is gone; it is another process's to reap.
Napi::Value end_process(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	pid_t pid = integer(info, 0);
	int cpu = integer(info, 1), handle = syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = { handle, POLLIN, 0 };
	struct sched_param other = {};
	int64_t start, killed;

	if (handle < 0)
		fail(env, "process " + std::to_string(pid) + " cannot be ended", errno);
	// As a duplicate of the tracer's: it does not clean up on the target's CPU, with the target's priority.
	sched_setscheduler(pid, SCHED_OTHER, &other);
	if (cpu >= 0) {
		cpu_set_t cpus;

		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
		sched_setaffinity(pid, sizeof(cpus), &cpus);
	}
	start = ps_now_ns();
	syscall(SYS_pidfd_send_signal, handle, SIGKILL, nullptr, 0);
	killed = ps_now_ns();
	while (poll(&ended, 1, -1) < 0 && errno == EINTR)
		;
	Napi::Object result = Napi::Object::New(env);
	result["killNs"] = Napi::Number::New(env, killed - start);
	result["reapNs"] = Napi::Number::New(env, ps_now_ns() - start);
	close(handle);
	return result;
}

// start_tracer(path, cpu, priority, dataBytes)
Napi::Value start_tracer(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	std::string path = info[0].As<Napi::String>(), cpu = std::to_string(integer(info, 1)),
		    priority = std::to_string(integer(info, 2)), data_bytes = std::to_string(integer(info, 3));
	Napi::Object area = share(env, TRACER_REGISTERS_BYTES + integer(info, 3));
	const struct timeval patience = { 300, 0 };
	posix_spawn_file_actions_t actions;
	tracer_reply hello = {};
	int pair[2], high[2], error;
	pid_t pid = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		fail(env, "no socket for the tracer", errno);
	// Above 3 and 4, so that dup2() to those does not close the other one first.
	high[0] = fcntl(pair[1], F_DUPFD_CLOEXEC, 10);
	high[1] = fcntl(area.Get("fd").As<Napi::Number>().Int32Value(), F_DUPFD_CLOEXEC, 10);
	char *argv[] = { path.data(), cpu.data(), priority.data(), data_bytes.data(), nullptr };
	posix_spawn_file_actions_init(&actions);
	// Node's own are closed on exec. The tracer's messages are to be seen; nothing else of ours is to stay open there.
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDERR_FILENO);
	posix_spawn_file_actions_adddup2(&actions, high[0], TRACER_SOCKET_FD);
	posix_spawn_file_actions_adddup2(&actions, high[1], TRACER_AREA_FD);
	// From its first instruction on, Ctrl-C does not reach it.
	sigset_t all;
	posix_spawnattr_t attributes;

	sigfillset(&all);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &all);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	error = posix_spawn(&pid, path.c_str(), &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	close(high[0]);
	close(high[1]);
	close(pair[1]);
	close(area.Get("fd").As<Napi::Number>().Int32Value());
	if (error) {
		close(pair[0]);
		fail(env, path + " cannot be started (npm run bench builds it)", error);
	}
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (!receive(pair[0], hello)) {
		close(pair[0]);
		waitpid(pid, nullptr, 0);
		throw Napi::Error::New(env, "the tracer did not start: see its message above");
	}
	Napi::Object result = Napi::Object::New(env);
	result["process"] = Napi::Number::New(env, pid);
	result["socket"] = Napi::Number::New(env, pair[0]);
	result["area"] = area.Get("buffer");
	result["hello"] = describe(env, hello);
	// What it can be asked for. Where it was not set up, there may be nothing: zeros.
	const char *text = static_cast<const char *>(area.Get("buffer").As<Napi::ArrayBuffer>().Data());
	result["operations"] = Napi::String::New(env, text, strnlen(text, TRACER_TEXT_BYTES));
	return result;
}

// request(socket, op, pid, timeoutNs, limitNs, bytes, TRACER_ARGUMENTS numbers)
Napi::Value request(const Napi::CallbackInfo &info)
{
	tracer_request asked = {};
	tracer_reply reply = {};
	int socket = integer(info, 0);
	static uint64_t last;

	asked.id = ++last;
	asked.op = integer(info, 1);
	asked.pid = integer(info, 2);
	asked.timeout_ns = integer(info, 3);
	asked.limit_ns = integer(info, 4);
	asked.bytes = integer(info, 5);
	for (size_t i = 0; i < TRACER_ARGUMENTS; i++)
		asked.argument[i] = integer(info, 6 + i);
	bool there = send(socket, &asked, sizeof(asked), MSG_NOSIGNAL) == sizeof(asked);

	// A late answer, to a request that was given up, is not this one's.
	do
		there = there && receive(socket, reply);
	while (there && reply.id != asked.id);
	if (!there) {
		reply = {};
		reply.code = -EPIPE;
		snprintf(reply.message, sizeof(reply.message), "the tracer is gone, or has not answered for five minutes");
	}
	return describe(info.Env(), reply);
}

// stop_tracer(socket, pid): it ends what it holds and leaves; waits for that, but not for ever: false, it goes on by
// itself.
Napi::Value stop_tracer(const Napi::CallbackInfo &info)
{
	pid_t pid = integer(info, 1);
	int handle = syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = { handle, POLLIN, 0 };
	int64_t until = ps_now_ns() + 10 * PS_NSEC_PER_SEC;
	bool done = false;

	close(integer(info, 0));
	while (handle >= 0 && ps_now_ns() < until && poll(&ended, 1, 1000) <= 0)
		;
	done = waitpid(pid, nullptr, WNOHANG) == pid;
	if (handle >= 0)
		close(handle);
	return Napi::Boolean::New(info.Env(), done);
}

// null, or why create_proc_snap() cannot be called here.
Napi::Value snap_unavailable(const Napi::CallbackInfo &info)
{
	return ps_snap_probe() ? Napi::String::New(info.Env(), ps_error()) : info.Env().Null();
}

// null, or why precopy cannot be used here.
Napi::Value precopy_unavailable(const Napi::CallbackInfo &info)
{
	return ps_precopy_probe() ? Napi::String::New(info.Env(), ps_error()) : info.Env().Null();
}

Napi::Value xsave_components(const Napi::CallbackInfo &info)
{
	struct ps_xsave_component found[PS_XSAVE_COMPONENTS];
	int count = ps_xsave_components(found, PS_XSAVE_COMPONENTS);
	Napi::Array result = Napi::Array::New(info.Env());

	for (int i = 0; i < count; i++) {
		Napi::Object component = Napi::Object::New(info.Env());

		component["number"] = Napi::Number::New(info.Env(), found[i].number);
		component["bytes"] = Napi::Number::New(info.Env(), found[i].bytes);
		component["offset"] = Napi::Number::New(info.Env(), found[i].offset);
		result[static_cast<uint32_t>(i)] = component;
	}
	return result;
}

Napi::Value call_name(const Napi::CallbackInfo &info)
{
	return Napi::String::New(info.Env(), ps_call_name(integer(info, 0)));
}

// What both sides must know of the structs in the shared area, and of numbers in requests.
Napi::Object constants(Napi::Env env)
{
	const struct { const char *name; size_t value;
	} numbers[] = {
		{ "registersBytes", sizeof(struct ps_registers) },
		{ "skewOffset", offsetof(struct ps_registers, skew_ns) },
		{ "flagsOffset", offsetof(struct ps_registers, flags) },
		{ "generalOffset", offsetof(struct ps_registers, general) },
		{ "generalBytes", sizeof(struct user_regs_struct) },
		{ "xstateOffset", offsetof(struct ps_registers, xstate) },
		{ "maxThreads", PS_MAX_THREADS },
		{ "running", PROC_SNAP_RUNNING },
		{ "partial", PROC_SNAP_PARTIAL },
		{ "reasonBytes", sizeof(struct ps_reason) },
		{ "reasonNameOffset", offsetof(struct ps_reason, name) },
		{ "reasonTextOffset", offsetof(struct ps_reason, text) },
		{ "callsHeadBytes", offsetof(struct ps_calls, by_call) },
		{ "callBytes", sizeof(ps_calls::by_call[0]) },
		{ "callKinds", PS_CALL_KINDS },
		{ "callsBytes", sizeof(struct ps_calls) },
		{ "spellsOffset", offsetof(struct ps_spells, spell) },
		{ "spellBytes", sizeof(ps_spells::spell[0]) },
		{ "spellStartOffset", offsetof(ps_spells, spell[0].start_ns) - offsetof(ps_spells, spell) },
		{ "countedCalls", TRACER_COUNTED_CALLS },
		{ "bytesAt", TRACER_BYTES_AT },
		{ "mostNumbers", TRACER_ARGUMENTS },
		{ "forInject", PS_FOR_INJECT },
		{ "forPrecopy", PS_FOR_PRECOPY },
		{ "precopyDone", PS_PRECOPY_DONE },
		{ "chunkBytes", PS_PRECOPY_CHUNK_BYTES },
		{ "killTracer", HOOK_KILL_TRACER },
		{ "killRequester", HOOK_KILL_REQUESTER },
	};
	Napi::Object result = Napi::Object::New(env);
	Napi::Array steps = Napi::Array::New(env), ways = Napi::Array::New(env), parts = Napi::Array::New(env);

	for (uint32_t i = 0; i < PS_STEPS; i++)
		steps[i] = Napi::String::New(env, ps_step_names[i]);
	for (uint32_t i = 0; i < PS_WAYS; i++)
		ways[i] = Napi::String::New(env, ps_way_name(static_cast<enum ps_way>(i)));
	for (uint32_t i = 0; i < PS_PARTS; i++)
		parts[i] = Napi::String::New(env, ps_part_names[i]);
	for (const auto &entry : numbers)
		result[entry.name] = Napi::Number::New(env, entry.value);
	result["steps"] = steps;
	result["ways"] = ways;
	result["parts"] = parts;
	return result;
}

// name_file(from, to): what is open at @from, a path in /proc, is @to from now on too. 0 or a negative errno.
Napi::Value name_file(const Napi::CallbackInfo &info)
{
	const std::string from = info[0].ToString(), to = info[1].ToString();

	return Napi::Number::New(info.Env(), linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW) ?
		-errno : 0);
}

// allocate(fd, bytes): room on the disk for so many. 0, or -errno.
Napi::Value allocate(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), fallocate(integer(info, 0), 0, 0, integer(info, 1)) ? -errno : 0);
}

// empty_part(fd, start, bytes): zeros from now on, for which there is no place on the disk. 0 or a negative errno.
Napi::Value empty_part(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), fallocate(integer(info, 0), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
						       integer(info, 1), integer(info, 2)) ? -errno : 0);
}

// clock_synchronized(): does somebody keep this machine's clock right? null: the kernel does not tell. adjtimex(2)
Napi::Value clock_synchronized(const Napi::CallbackInfo &info)
{
	struct timex told = {};

	return adjtimex(&told) < 0 ? info.Env().Null() : Napi::Boolean::New(info.Env(), !(told.status & STA_UNSYNC));
}

// drop_cached(fd, start, bytes): what is on the disk of it is in memory no more. 0 bytes: up to its end.
Napi::Value drop_cached(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), -posix_fadvise(integer(info, 0), integer(info, 1), integer(info, 2),
							    POSIX_FADV_DONTNEED));
}

// lock_file(fd): nobody else can have it locked until that is closed, or its process is gone. 0 or a negative errno.
Napi::Value lock_file(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), flock(integer(info, 0), LOCK_EX | LOCK_NB) ? -errno : 0);
}

// answer_signals(text): the thread that does, or a negative errno.
Napi::Value answer_signals(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), ps_answer_signals(info[0].As<Napi::String>().Utf8Value().c_str()));
}

Napi::Value stop_answering(const Napi::CallbackInfo &info)
{
	ps_stop_answering();
	return info.Env().Undefined();
}

Napi::Value signal_answered(const Napi::CallbackInfo &info)
{
	return Napi::Boolean::New(info.Env(), ps_signal_answered());
}

// exit_now(code): this process ends, without waiting for its other threads.
Napi::Value exit_now(const Napi::CallbackInfo &info)
{
	_exit(static_cast<int>(integer(info, 0)));
}

// secret_device(): "00:0e", or null.
Napi::Value secret_device(const Napi::CallbackInfo &info)
{
	char text[32];

	if (!ps_secret_device(text, sizeof(text)))
		return info.Env().Null();
	return Napi::String::New(info.Env(), text);
}

// Looks at a file on another thread, for some milliseconds: nobody waits for it here. What is closed meanwhile stays
// open for it.
class Look : public Napi::AsyncWorker {
public:
	using Work = std::function<int(int fd, int64_t until_ns, ps_runs &runs, uint64_t &walked)>;

	static Napi::Value start(Napi::Env env, int64_t fd, int64_t budget_ms, Work work)
	{
		Look *look = new Look(env, fd, budget_ms, std::move(work));
		Napi::Value promise = look->promise_.Promise();

		look->Queue();
		return promise;
	}

	~Look() override
	{
		if (fd_ >= 0)
			close(fd_);
		free(runs_.run);
	}

protected:
	void Execute() override
	{
		code_ = fd_ < 0 ? code_ : work_(fd_, ps_now_ns() + budget_ms_ * 1000000, runs_, walked_);
	}

	void OnOK() override
	{
		Napi::Object result = Napi::Object::New(Env());
		Napi::Float64Array runs = Napi::Float64Array::New(Env(), 3 * runs_.count);

		for (size_t i = 0; i < runs_.count; i++) {
			runs[3 * i] = runs_.run[i].start;
			runs[3 * i + 1] = runs_.run[i].end;
			runs[3 * i + 2] = runs_.run[i].categories;
		}
		result["code"] = Napi::Number::New(Env(), code_);
		result["walked"] = Napi::Number::New(Env(), walked_);
		result["runs"] = runs;
		promise_.Resolve(result);
	}

private:
	Look(Napi::Env env, int64_t fd, int64_t budget_ms, Work work)
		: Napi::AsyncWorker(env), promise_(Napi::Promise::Deferred::New(env)), work_(std::move(work)),
		  fd_(fcntl(fd, F_DUPFD_CLOEXEC, 3)), code_(fd_ < 0 ? -errno : 0), budget_ms_(budget_ms)
	{
	}

	Napi::Promise::Deferred promise_;
	Work work_;
	int fd_, code_;
	int64_t budget_ms_;
	uint64_t walked_ = 0;
	ps_runs runs_ = {};
};

// scan_pages(fd, start, end, mostPages, budgetMs): ps_pages_scan().
Napi::Value scan_pages(const Napi::CallbackInfo &info)
{
	uint64_t start = integer(info, 1), end = integer(info, 2), most = integer(info, 3);

	return Look::start(info.Env(), integer(info, 0), integer(info, 4),
			   [=](int fd, int64_t until_ns, ps_runs &runs, uint64_t &walked) {
				   return ps_pages_scan(fd, start, end, most, until_ns, &runs, &walked);
			   });
}

// read_pages(fd, ranges, from, budgetMs): ps_pages_read(), of each range (start, end) in its turn that ends behind
// `from`; what of it lies before is not read.
Napi::Value read_pages(const Napi::CallbackInfo &info)
{
	const Napi::Float64Array given = info[1].As<Napi::Float64Array>();
	std::vector<uint64_t> ranges(given.Data(), given.Data() + given.ElementLength());
	uint64_t from = integer(info, 2);

	return Look::start(info.Env(), integer(info, 0), integer(info, 3),
			   [=](int fd, int64_t until_ns, ps_runs &runs, uint64_t &walked) {
				   int code = 0;

				   walked = from;
				   for (size_t i = 0; i + 1 < ranges.size() && !code; i += 2) {
					   if (ranges[i + 1] <= walked)
						   continue;
					   code = ps_pages_read(fd, std::max(ranges[i], walked), ranges[i + 1], until_ns,
								&runs, &walked);
					   if (ps_now_ns() > until_ns)
						   break;
				   }
				   return code;
			   });
}

// file_parts(fd, start, end, budgetMs): ps_file_parts().
Napi::Value file_parts(const Napi::CallbackInfo &info)
{
	uint64_t start = integer(info, 1), end = integer(info, 2);

	return Look::start(info.Env(), integer(info, 0), integer(info, 3),
			   [=](int fd, int64_t until_ns, ps_runs &runs, uint64_t &walked) {
				   return ps_file_parts(fd, start, end, until_ns, &runs, &walked);
			   });
}

// read_some(fd, into, budgetMs): up to so many bytes from where the file is. `walked`: how many; 0: its end.
Napi::Value read_some(const Napi::CallbackInfo &info)
{
	Napi::Uint8Array into = info[1].As<Napi::Uint8Array>();
	auto kept = std::make_shared<Napi::Reference<Napi::Uint8Array>>(Napi::Persistent(into));
	char *room = reinterpret_cast<char *>(into.Data());
	size_t length = into.ByteLength();

	return Look::start(info.Env(), integer(info, 0), integer(info, 2),
			   [=](int fd, int64_t until_ns, ps_runs &, uint64_t &walked) {
				   (void)kept;
				   while (walked < length && (!walked || ps_now_ns() < until_ns)) {
					   ssize_t got = read(fd, room + walked, length - walked);

					   if (got < 0 && !walked)
						   return -errno;
					   if (got <= 0)
						   break;
					   walked += got;
				   }
				   return 0;
			   });
}

Napi::Object init(Napi::Env env, Napi::Object exports)
{
	const struct { const char *name; Napi::Value (*function)(const Napi::CallbackInfo &);
	} functions[] = {
		{ "createShared", create_shared },
		{ "closeFd", close_fd },
		{ "futexWake", futex_wake },
		{ "waitFor", wait_for },
		{ "nowNs", now_ns },
		{ "clock", clock },
		{ "setAffinity", set_affinity },
		{ "setFifo", set_fifo },
		{ "endProcess", end_process },
		{ "nameFile", name_file },
		{ "allocate", allocate },
		{ "emptyPart", empty_part },
		{ "dropCached", drop_cached },
		{ "clockSynchronized", clock_synchronized },
		{ "lockFile", lock_file },
		{ "answerSignals", answer_signals },
		{ "stopAnswering", stop_answering },
		{ "signalAnswered", signal_answered },
		{ "exitNow", exit_now },
		{ "scanPages", scan_pages },
		{ "readPages", read_pages },
		{ "fileParts", file_parts },
		{ "readSome", read_some },
		{ "startTracer", start_tracer },
		{ "request", request },
		{ "stopTracer", stop_tracer },
		{ "snapUnavailable", snap_unavailable },
		{ "precopyUnavailable", precopy_unavailable },
		{ "callName", call_name },
		{ "xsaveComponents", xsave_components },
		{ "secretDevice", secret_device },
	};

	for (const auto &entry : functions)
		exports[entry.name] = Napi::Function::New(env, entry.function, entry.name);
	exports["constants"] = constants(env);
	return exports;
}

}  // namespace

NODE_API_MODULE(procsnap, init)
