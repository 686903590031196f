/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "This must not survive": the statement runs in a child process, which must end in abort(), as
 * assert() and the tests' panic() do.
 */
#ifndef PITH_HOST_DEATH_H
#define PITH_HOST_DEATH_H

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define assert_dies(statement)                                                     \
	do {                                                                       \
		int status_;                                                       \
		pid_t child_ = fork();                                             \
		if (child_ == 0) {                                                 \
			dup2(open("/dev/null", O_WRONLY), 2);                      \
			signal(SIGABRT, SIG_DFL);                                  \
			statement;                                                 \
			_exit(0);                                                  \
		}                                                                  \
		assert_true(child_ > 0);                                           \
		assert_int_equal(waitpid(child_, &status_, 0), child_);            \
		assert_true(WIFSIGNALED(status_) && WTERMSIG(status_) == SIGABRT); \
	} while (0)

#endif
