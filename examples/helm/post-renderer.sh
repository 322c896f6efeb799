#!/bin/sh
# Helm post-renderer: takes what the chart renders to on standard input, and prints it with its images rewritten.
# The arguments are options of `rewrite`. SDR_IMAGE_REWRITER says how to call the program, if it is not on the
# path: words, so that it can be a whole `podman run`.
set -eu
# shellcheck disable=SC2086
manifests=$(${SDR_IMAGE_REWRITER:-sdr-image-rewriter} rewrite "$@" -)
# Helm would take nothing for a release without objects, and delete those that are there.
if [ -z "$manifests" ]; then
  echo 'error: no manifests came back; does the call pass standard input on (podman run -i)?' >&2
  exit 1
fi
printf '%s\n' "$manifests"
