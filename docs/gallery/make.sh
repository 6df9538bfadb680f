#!/bin/sh
# Draws the pictures of the gallery: sh docs/gallery/make.sh [FOLDER], in the project's folder, with nnlayer in PATH.
set -eu
folder=${1:-docs/gallery}

chain() {
    nnlayer affine --x 1,2 --w '1,-1;0,1' --b 1,-3 --tape | nnlayer relu | nnlayer affine --w '1,3;5,7' --b 2,0 |
        nnlayer softmax-xent --t 0 | nnlayer backward "$@"
}

nnlayer affine --w fixtures/w.json --b 2 --x fixtures/x.json --graph "$folder/affine.svg"
nnlayer affine --w fixtures/w.json --b 2 --x fixtures/x.json --level scalar --graph "$folder/affine-scalar.svg"
nnlayer softmax --x 1,2,3 --dout 1,0,0 --graph "$folder/softmax.svg"
nnlayer softmax-xent --x 0.3,2.9,4 --t 0,0,1 --graph "$folder/softmax-xent.svg"
nnlayer softmax-xent --x 0.3,2.9,4 --t 0,0,1 --graph "$folder/softmax-xent-dark.svg" --theme dark --digits 3 --no-legend
chain --level tensor --graph "$folder/chain.svg"
chain --level scalar --graph "$folder/chain-scalar.svg"
nnlayer sigmoid --x 1 --hints --title 'What each gate does with the gradient' --graph "$folder/sigmoid.svg"
nnlayer layernorm --x 1,2,4 --gamma 1,1,1 --beta 0,0,0 --dout 1,0,0 --graph "$folder/layernorm.svg"
nnlayer attention --q '1,0,1;0,1,1' --k '1,0,0;0,1,1' --v '1,2,3;4,5,6' --causal top-left --level tensor --graph "$folder/attention.svg"
nnlayer conv2d --x '[[[1,2,3,4],[5,6,7,8],[9,10,11,12],[13,14,15,16]]]' --w '[[[[1,0,-1],[2,0,-2],[1,0,-1]]]]' --level tensor \
    --graph "$folder/conv.svg"
nnlayer net fixtures/transformer/net.json --x fixtures/transformer/inputs.npz#x --t fixtures/transformer/inputs.npz#t \
    --graph "$folder/transformer.svg"
