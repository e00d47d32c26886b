/* SPDX-License-Identifier: MIT */
/* What precopy needs of the kernel, feature by feature: tried on this process itself. */
#ifndef PROCSNAP_FEATURES_H
#define PROCSNAP_FEATURES_H

/* Of linux/userfaultfd.h since 6.4 and 6.7; headers may be older. */
#define PS_UFFD_WP_UNPOPULATED	(1 << 13)
#define PS_UFFD_WP_ASYNC	(1 << 15)
#define PS_UFFD_FEATURES	(PS_UFFD_WP_UNPOPULATED | PS_UFFD_WP_ASYNC)

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY	1
#endif

#endif
