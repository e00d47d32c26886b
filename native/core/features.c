// SPDX-License-Identifier: MIT
/* Does this kernel have what precopy is made of, and may this process use it? Nothing is done to another process. */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "features.h"
#include "procsnap.h"

static int try_userfaultfd(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = PS_UFFD_FEATURES };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY), err = 0;

	if (fd < 0)
		return ps_fail(-errno,
			"userfaultfd(2) is refused here (%s): the kernel needs CONFIG_USERFAULTFD, and a container's seccomp "
			"filter has to let it through",
			strerror(errno));
	if (ioctl(fd, UFFDIO_API, &api))
		err = ps_fail(-errno,
			"this kernel's userfaultfd(2) does not protect without asking (UFFD_FEATURE_WP_ASYNC): Linux 6.7 and later "
			"do, with CONFIG_PTE_MARKER_UFFD_WP");
	close(fd);
	return err;
}

static int try_scan(void)
{
	/* struct pm_scan_arg with nothing in it: refused for its size where the operation is there. */
	uint64_t none[12] = { 0 };
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return ps_fail(-errno, "/proc/self/pagemap cannot be opened: %s", strerror(errno));
	if (ioctl(fd, _IOWR('f', 16, none), none) && errno != EINVAL)
		err = ps_fail(-errno,
			"this kernel's pagemap cannot be scanned for written pages (PAGEMAP_SCAN): Linux 6.7 and later can");
	close(fd);
	return err;
}

static int try_faults(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_PAGE_FAULTS, .sample_period = 1,
		.sample_type = PERF_SAMPLE_ADDR, .inherit = 1, .inherit_thread = 1, .exclude_hv = 1,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return ps_fail(-errno,
			"page faults cannot be logged: perf_event_open(2) says %s; run as root or with CAP_PERFMON, lower "
			"kernel.perf_event_paranoid to 1, or have a container's seccomp filter let it through",
			strerror(errno));
	close(fd);
	return 0;
}

int ps_precopy_probe(void)
{
	int err = try_userfaultfd();

	if (!err)
		err = try_scan();
	return err ? err : try_faults();
}
