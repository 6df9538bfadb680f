#!/bin/sh
# Draws the pictures of docs/gallery.md by the commands of that page: sh docs/gallery/make.sh [FOLDER], in the project's folder, with
# nnlayer in PATH.
set -eu
folder=${1:-docs/gallery}
sed -n "/^for theme in/,/^done/{s|docs/gallery/|$folder/|;p;}" docs/gallery.md | sh -eu
