/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Included before everything else, by the compiler's -include (cross.mk).
 *
 * -fvisibility=hidden hides definitions only: what is merely declared extern would still be reached
 * through the global offset table, a load and eight bytes for each. Everything here is linked into
 * one image, so every symbol can be reached directly.
 */
#pragma GCC visibility push(hidden)
