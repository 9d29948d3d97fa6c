"""The texts of the converter's `--help`."""

from __future__ import annotations

from segnet.annotations.presets import PRESETS
from segnet.annotations.reading import ANNOTATION_SUFFIXES
from segnet.constants import MAX_CLASSES, WARNINGS
from segnet.images.decoding import IMAGE_SUFFIXES

__all__ = ["HELP", "USAGE"]

USAGE = """\
Packs a folder of images and a folder of annotations into TFRecord shards.

python tools/convert_to_tfrecord.py --images_dir=DIR --annotations_dir=DIR \\
  --output_dir=DIR --split=train --num_classes=11 [flags]

Exit status: 0 done; 1 bad data or nothing could be written; 2 bad flags."""

HELP = {
    "images_dir": f"folder of images: {' '.join(IMAGE_SUFFIXES)}",
    "annotations_dir": f"folder of annotations, {' '.join(ANNOTATION_SUFFIXES)}"
    ", each with the stem and size of its image",
    "output_dir": "folder for the shards and the manifest",
    "split": "name of the split, such as train or val; or two or three names, "
    "train,val,test, between which the files are divided, see --val_fraction",
    "val_fraction": "with several splits: the part that the second one gets, "
    "such as 0.2; which files these are depends on their names and "
    "--split_seed alone, so files that are added later move no other",
    "test_fraction": "with three splits: the part that the third one gets; the "
    "second has the same files with and without it",
    "num_folds": "instead of --split: divide the files into K folds, "
    "fold0_val, fold1_val, ..., each with a split of all the others, "
    "fold0_train, ..., which takes no space of its own",
    "group_by": "where files are divided: they belong together if this regular "
    "expression finds the same in their stems, such as '^(.*)_' for the "
    "pictures of one film",
    "split_seed": "where files are divided: another number gives another "
    "division",
    "list_file": "take only the files that a text file names, one a line, as "
    "Pascal VOC's lists do; with several splits a file for each, "
    "train.txt,val.txt, or one whose files are divided",
    "num_classes": f"labels are 0 to N-1 (2 to {MAX_CLASSES}); may be left out "
    "with --label_map",
    "class_names": "names of the classes: a,b,c or a file with one per line "
    "(default: those of --label_map, else class_0,class_1,...)",
    "void_labels": "labels to write as 255, which training and scores "
    "ignore: 11 or 11,255; they may be below --num_classes",
    "annotation_mode": "where the label is: blue channel, palette index (8-bit "
    "grey files are read in both modes), or colour, which --label_map lists",
    "label_map": "what values or colours are which class: a text file with a "
    "line 'name: values or #colours' for each class (or CVAT's labelmap.txt, "
    f"CamVid's label_colors.txt), or one of {', '.join(PRESETS)}; binary is "
    "for masks of 0 and 255",
    "num_shards": "number of files (default: 8, more for over 800 MB), never "
    "more than there are images",
    "num_workers": "processes (default: all cores); any number gives the "
    "same bytes",
    "resize": "HxW: bring images (bilinear, antialiased) and labels "
    "(nearest) to this size",
    "max_pixels": "pixels that a picture may have; more are refused before "
    "they are decoded. 2 GB of memory are enough for the default, and so many "
    "times as much for more",
    "bit_depth": "bits that pictures of more than 8 bits a value use, such as "
    "12 for those of many cameras and microscopes; the upper 8 of them are "
    "kept. 0: all bits that the file has. Recorded, so that prediction does "
    "the same",
    "skip_invalid": "leave bad pairs out and list them in the manifest",
    "overwrite": "replace the split if it is there",
    "silence": "warnings not to show: all, or names with commas between them: "
    f"{', '.join(WARNINGS)}",
    "report": "at the end, make OUTPUT_DIR/report/index.html: a page with the "
    "pairs as overlay and as the network sees them, the classes, and what "
    "looks wrong: odd labels, images that are there twice",
    "runner": "convert with Apache Beam, which 'make setup-beam' installs: "
    "DataflowRunner, FlinkRunner, SparkRunner and so on use other machines, "
    "DirectRunner this one, with --num_workers processes. The files are the "
    "same byte for byte",
    "beam_options": "with --runner: options of Apache Beam with spaces between "
    "them, such as '--project=mine --region=europe-west4 "
    "--temp_location=gs://mine/tmp'",
    "verify_only": "write nothing: check the input folders completely, and, "
    "if --output_dir has the split, all its records; either may be left out",
}
