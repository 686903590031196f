# SPDX-License-Identifier: Apache-2.0
# The files of net/: obj-y always, obj-$(FEAT_...) with a feature (features.mk).

# The HTTP server (pith/http.h).
deps-$(FEAT_HTTP) += http-parser
obj-$(FEAT_HTTP)  += net/http.o $(http-parser)/http_parser.o
$(obj)/net/http.o: includes += -isystem $(http-parser)
