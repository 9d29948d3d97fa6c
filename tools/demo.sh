#!/usr/bin/env bash
# The whole program once, in demo/: draws street scenes, converts them, trains,
# makes the report of the run, evaluates on scenes that were not trained on, and
# colours some of them.
# Starts over each time: demo/data, demo/records and demo/run are replaced.
#
# NUM_TRAIN, NUM_VAL   how many scenes to draw
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=${VENV:-.venv}
NUM_TRAIN=${NUM_TRAIN:-300}
NUM_VAL=${NUM_VAL:-60}
readonly NUM_PICTURES=12

step() { printf '\n== %s\n' "$*"; }

tools/setup_env.sh run
python="$VENV/bin/python"
rm -rf demo/data demo/records demo/run

step "Drawing $NUM_TRAIN + $NUM_VAL street scenes"
"$python" tools/make_sample_dataset.py --output_dir=demo/data \
  --num_train="$NUM_TRAIN" --num_val="$NUM_VAL"

step "Converting them to TFRecord shards"
num_classes=$(wc -l <demo/data/class_names.txt)
for split in train val; do
  # Frame and unsure outlines are void, the label after the last class.
  "$python" tools/convert_to_tfrecord.py --split="$split" \
    --images_dir="demo/data/$split/images" \
    --annotations_dir="demo/data/$split/annotations" \
    --output_dir=demo/records --num_classes="$num_classes" \
    --class_names=demo/data/class_names.txt --void_labels="$num_classes"
done

started=$SECONDS
step "Training, and a report at its end"
"$python" main.py --flagfile=configs/demo.flags

step "Evaluating on the validation scenes"
"$python" main.py --mode=evaluate --workdir=demo/run
elapsed=$((SECONDS - started))

step "Labelling $NUM_PICTURES validation scenes"
mkdir demo/data/pictures
find demo/data/val/images -type f | sort | sed "${NUM_PICTURES}q" |
  xargs -I{} cp {} demo/data/pictures/
"$python" main.py --mode=predict --workdir=demo/run \
  --image_path=demo/data/pictures

step "Done"
echo "training and evaluation: $((elapsed / 60)) min $((elapsed % 60)) s"
echo "all of it:               $((SECONDS / 60)) min $((SECONDS % 60)) s"
echo "scores:                  demo/run/evaluation-val.json"
echo "pictures:                demo/run/predictions/*_overlay.png"
echo "report, for a browser:   $PWD/demo/run/report/index.html"
