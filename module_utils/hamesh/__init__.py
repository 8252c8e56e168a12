# SPDX-License-Identifier: GPL-3.0-or-later
"""Hamesh: client-side load balancing with a HAProxy on every host."""

VERSION = "0.1.0"  # the only place that has it; CHANGELOG.md says what it brings
