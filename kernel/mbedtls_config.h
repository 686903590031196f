/* SPDX-License-Identifier: Apache-2.0 */
/* What is built of Mbed TLS (MBEDTLS_CONFIG_FILE): the primitives that somebody here calls. */
#ifndef PITH_MBEDTLS_CONFIG_H
#define PITH_MBEDTLS_CONFIG_H

#define MBEDTLS_SHA256_C
#define MBEDTLS_CHACHA20_C

/*
 * Signatures of updates, up to RSA-4096 (kernel/update.c). Without the assembly the multiplication needs
 * 128-bit integers, and their division comes from libgcc; OIDs need no names.
 */
#define MBEDTLS_RSA_C
#define MBEDTLS_PKCS1_V15
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_MPI_MAX_SIZE 512
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_NO_UDBL_DIVISION
#define MBEDTLS_OID_C
#define MBEDTLS_X509_REMOVE_INFO

#endif
