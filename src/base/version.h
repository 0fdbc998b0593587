/* SPDX-License-Identifier: MIT */
/* What `berthd --version` and `berth --version` say. */
#ifndef BERTH_BASE_VERSION_H
#define BERTH_BASE_VERSION_H

#define BERTH_VERSION "0.1.0"

#endif
