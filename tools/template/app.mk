# SPDX-License-Identifier: Apache-2.0
# What the image contains besides the program (docs/apps.md). Every .c file here is built.
FEATURES :=#         of: net http block rng
FILES    :=#         files and folders that the program can open(), relative to this folder
VERSION  := 0.1.0
