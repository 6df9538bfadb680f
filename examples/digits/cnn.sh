#!/bin/sh
# Trains a small convolutional network on 1,497 of the 1,797 digits, and measures it on the other 300. Run it in a folder of its own
# with the path of digits.npz, of fixtures/train, and nnlayer on PATH: sh cnn.sh ../../fixtures/train/digits.npz
# It takes some seconds with a release build.
set -eu
digits=$1
nnlayer net --init 'reshape 0x1x8x8, conv2d 16 3x3 same, relu, maxpool2d 2, conv2d 32 3x3 same, relu, maxpool2d 2, flatten, affine 10' \
  --input 64 --seed 1 --out cnn.json
nnlayer train cnn.json --x "$digits#x" --t "$digits#t" --held-x "$digits#held_x" --held-t "$digits#held_t" \
  --optimizer adam --lr 0.002 --batch 32 --epochs "${EPOCHS:-20}" --shuffle --seed 1 --out trained.json
