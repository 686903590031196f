# SPDX-License-Identifier: Apache-2.0
# Verifies signatures that nobody here made: Wycheproof's, as a table that vectors.py makes of them.
FEATURES := ota
CFLAGS    = -Itests/target -I$(obj) $(mbedtls_includes)

wycheproof := build/deps/wycheproof-$(wycheproof_version)
$(obj)/app/main.o: $(obj)/vectors.h
$(obj)/vectors.h: $(app_dir)/vectors.py | $(wycheproof)/.ready
	@mkdir -p $(@D)
	@$< $(wycheproof) $@
