/* SPDX-License-Identifier: Apache-2.0 */
/* What is built of Mbed TLS (MBEDTLS_CONFIG_FILE): the primitives that somebody here calls. */
#ifndef PITH_MBEDTLS_CONFIG_H
#define PITH_MBEDTLS_CONFIG_H

#define MBEDTLS_SHA256_C
#define MBEDTLS_CHACHA20_C

#endif
