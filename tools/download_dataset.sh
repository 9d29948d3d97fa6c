#!/usr/bin/env bash
# Fetches Habana's sample data set or Keras' VGG16 weights: see --help.
#
# A download goes to DIR/.FILE.part, which is all that survives an interrupted
# run; the result appears under its own name only when it is whole.
set -euo pipefail

readonly PROGRAM=${0##*/}
readonly DRIVE_ID=0B0d9ZiqAgFkiOHR1NTJhWVJMNEU
readonly DRIVE_VIEW=https://drive.google.com/file/d/$DRIVE_ID/view
readonly DRIVE_FILE="https://drive.usercontent.google.com/download"
readonly VGG16_FILE=vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5
readonly VGG16_RELEASE=https://github.com/fchollet/deep-learning-models/releases
# The sum that Keras itself checks.
readonly VGG16_SUM=6d6bbae143d832006294945121d1f1fc

dataset1_url=${SEGNET_DATASET1_URL:-$DRIVE_FILE?id=$DRIVE_ID&export=download}
vgg16_url=${SEGNET_VGG16_URL:-$VGG16_RELEASE/download/v0.1/$VGG16_FILE}
vgg16_md5=${SEGNET_VGG16_MD5:-$VGG16_SUM}
vgg16_bytes=${SEGNET_VGG16_BYTES:-58889256}
readonly dataset1_url vgg16_url vgg16_md5 vgg16_bytes

dir=     # where the result goes
part=    # the download so far: kept for the next run
scratch= # everything else that is half-done: removed at the end
child=   # the curl that is running, if any

usage() {
  cat <<HELP
usage: $PROGRAM dataset1|vgg16 [DIR]

Fetches one of these into DIR (default: data):
  dataset1  Habana's sample data set, CamVid street scenes with 11 classes and
            void, laid out for convert_to_tfrecord.py:
            DIR/dataset1/{train,val}/{images,annotations} and class_names.txt
  vgg16     Keras' VGG16 weights without the classifier, for
            --encoder_weights: DIR/$VGG16_FILE

A download that was interrupted goes on where it stopped, what arrives is
verified, and a result that is already there is left alone. If you fetched
dataset1.zip with a browser, put it at DIR/dataset1.zip and run this again.

Environment:
  SEGNET_DATASET1_URL  address of dataset1.zip
  SEGNET_VGG16_URL     address of the weights
  SEGNET_VGG16_MD5     their MD5 sum, 32 hexadecimal digits
  SEGNET_VGG16_BYTES   their size in bytes
  http_proxy, https_proxy, no_proxy, ~/.curlrc: as curl reads them

Needs bash, curl and python3. Exit status: 0 done, 1 failed, 2 wrong usage,
130 or 143 stopped by a signal.
HELP
}

fail() {
  printf '%s: error: %s\n' "$PROGRAM" "$1" >&2
  exit "${2:-1}"
}

# Called when the result is not there yet: a finished one may be read-only.
prepare() {
  rm -rf "$scratch"
  mkdir "$scratch" 2>/dev/null || fail "cannot write to the folder $dir"
}

size_of() {
  if [[ -f $1 ]]; then wc -c <"$1" | tr -d ' '; else echo 0; fi
}

kept() {
  local bytes
  bytes=$(size_of "$part")
  if ((bytes)); then
    echo "; $bytes bytes are kept and the same command goes on from there"
  fi
}

clean_up() {
  if [[ -n $child ]]; then
    kill "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
    child=
  fi
  if [[ -n $scratch ]]; then rm -rf "$scratch"; fi
  # An empty part holds nothing to go on from.
  if [[ -n $part && -f $part && ! -s $part ]]; then rm -f "$part"; fi
}

stopped() {
  clean_up
  if [[ -t 2 ]]; then echo >&2; fi # leave the progress bar's line
  printf '%s: stopped%s\n' "$PROGRAM" "$(kept)" >&2
  exit "$1"
}

# python_tool TASK ARGUMENT...: what is awkward in the shell. Exit status 3
# and a reason on stdout: the file is not what it should be. -IS keeps modules
# of the working directory and of installed packages out.
python_tool() {
  python3 -IS - "$@" <<'PY'
import errno
import hashlib
import html.parser
import os
import re
import shutil
import signal
import stat
import sys
import urllib.parse
import zipfile

FOLDERS = {
    "images_prepped_train": ("train", "images"),
    "annotations_prepped_train": ("train", "annotations"),
    "images_prepped_test": ("val", "images"),
    "annotations_prepped_test": ("val", "annotations"),
}
CLASS_NAMES = (
    "sky building pole road pavement tree sign_symbol fence car pedestrian "
    "bicyclist"
).split()
# The shell says that it was stopped; a traceback would add nothing.
signal.signal(signal.SIGINT, signal.SIG_DFL)


def unusable(reason):
    print(reason)
    sys.exit(3)


def md5(path):
    try:
        digest = hashlib.md5(usedforsecurity=False)
    except TypeError:  # Python 3.8 and older
        digest = hashlib.md5()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    print(digest.hexdigest())


def is_zip(path):
    sys.exit(0 if zipfile.is_zipfile(path) else 3)


class Page(html.parser.HTMLParser):
    """Title of a web page, and the first form that carries a confirmation."""

    def __init__(self):
        super().__init__()
        self.title, self.form, self._tag = "", None, ""
        self._action, self._fields = None, []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self._tag = tag
        if tag == "form":
            self._action, self._fields = attrs.get("action") or "", []
        elif tag == "input" and self._action is not None and attrs.get("name"):
            self._fields.append((attrs["name"], attrs.get("value") or ""))

    def handle_endtag(self, tag):
        self._tag = ""
        names = {name for name, _ in self._fields}
        if tag == "form" and self._action is not None:
            if self.form is None and names & {"confirm", "uuid"}:
                self.form = self._action, self._fields
            self._action = None

    def handle_data(self, data):
        if self._tag == "title":
            self.title += data


def read_page(path, address):
    """Says what a page that came instead of the file means."""
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read(1 << 20)
    page = Page()
    page.feed(text + "</form>")
    if re.search(r"quota\s+exceeded|too\s+many\s+users", text, re.I):
        print("quota")
    elif page.form:
        action, fields = page.form
        base = urllib.parse.urlsplit(address)
        target = urllib.parse.urlsplit(urllib.parse.urljoin(address, action))
        # A page must not send us just anywhere.
        ours = (target.scheme, target.netloc) == (base.scheme, base.netloc)
        drive = target.scheme == "https" and re.search(
            r"(^|\.)google(usercontent)?\.com$", target.netloc
        )
        if not (ours or drive):
            print("page", "a form that leads to " + target.netloc)
            return
        query = urllib.parse.parse_qsl(target.query) + fields
        print("form", target._replace(
            query=urllib.parse.urlencode(query), fragment=""
        ).geturl())  # fmt: skip
    else:
        title = re.sub(r"[^ -~]+", " ", page.title).strip()[:80]
        print("page", repr(title or "without a title"))


def members(archive):
    """Yields (zip entry, split, kind, file name); refuses what is unsafe."""
    for info in archive.infolist():
        # ZipInfo itself may have cut or rewritten the name.
        name = info.orig_filename
        parts = name.rstrip("/").split("/")
        link = stat.S_ISLNK(info.external_attr >> 16)
        if link or re.search(r"[\\\0:]", name) or {"", "..", "."} & {*parts}:
            unusable(f"has an unsafe member, {name!r}")
        if name.endswith("/") or parts[0] == "__MACOSX":
            continue
        if parts[0] == "dataset1":
            del parts[0]
        hidden = parts[-1].startswith(".")
        if len(parts) == 2 and parts[0] in FOLDERS and not hidden:
            yield (info,) + FOLDERS[parts[0]] + (parts[1],)


def report(folder):
    """Prints how many pairs there are; names what has no partner."""
    counts, alone = [], []
    for split in ("train", "val"):
        stems = {}
        for kind in ("images", "annotations"):
            path = os.path.join(folder, split, kind)
            if not os.path.isdir(path):
                unusable(f"has no folder {split}/{kind}")
            names = [n for n in os.listdir(path) if not n.startswith(".")]
            stems[kind] = {os.path.splitext(name)[0] for name in names}
        pairs = stems["images"] & stems["annotations"]
        if not pairs:
            unusable(f"has no pair of image and annotation for {split}")
        counts.append(f"{split}: {len(pairs)} pairs of image and annotation")
        for kind, found in stems.items():
            alone += [f"{split}/{kind}/{stem}" for stem in found - pairs]
    for name in sorted(alone):
        remedy = "remove it, or convert with --skip_invalid"
        print(f"warning: {name} has no partner: {remedy}", file=sys.stderr)
    print("\n".join(counts))


def extract(archive, chosen, target):
    for split in ("train", "val"):
        for kind in ("images", "annotations"):
            os.makedirs(os.path.join(target, split, kind))
    for info, *place in chosen:
        path = os.path.join(target, *place)
        # "x": two members of one name, or of names that differ in case only.
        with archive.open(info) as source, open(path, "xb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    with open(os.path.join(target, "class_names.txt"), "w") as file:
        file.write("\n".join(CLASS_NAMES) + "\n")


def unpack(path, scratch, result):
    target = os.path.join(scratch, "unpacked")
    if not zipfile.is_zipfile(path):
        unusable("is not a zip archive, or is cut short")
    try:
        with zipfile.ZipFile(path) as archive:
            chosen = list(members(archive))
            need = sum(info.file_size for info, *_ in chosen)
            free = shutil.disk_usage(scratch).free
            if need > free:
                print(f"needs {need} bytes of disk, {free} are free")
                sys.exit(1)
            broken = archive.testzip()
            if broken is not None:
                unusable(f"is damaged at {broken!r}")
            extract(archive, chosen, target)
    except FileExistsError as error:
        unusable(f"has two members for {os.path.basename(error.filename)!r}")
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):
            raise  # the disk's fault, not the archive's
        unusable("is damaged")
    except Exception as error:  # zipfile raises a dozen kinds
        unusable(f"cannot be read: {error or type(error).__name__}")
    report(target)
    os.rename(target, result)


TASKS = {
    "md5": md5,
    "is_zip": is_zip,
    "read_page": read_page,
    "report": report,
    "unpack": unpack,
}
try:
    TASKS[sys.argv[1]](*sys.argv[2:])
except OSError as error:
    print(f"{error.filename or 'writing'}: {error.strerror}")
    sys.exit(1)
PY
}

# fetch URL FILE: one request, going on at FILE's end. Sets the three below.
curl_status=0 http_code=0 final_url=
fetch() {
  local progress=(--silent)
  if [[ -t 1 && -t 2 ]]; then progress=(--progress-bar); fi
  curl_status=0
  # In the background, since the shell answers a signal only between commands
  # or in `wait`.
  curl "${progress[@]}" --globoff --location --max-redirs 10 \
    --proto =http,https --connect-timeout 30 --speed-limit 1 --speed-time 60 \
    --cookie "$scratch/cookies" --cookie-jar "$scratch/cookies" \
    --continue-at - --output "$2" --write-out '%{http_code} %{url_effective}' \
    -- "$1" >"$scratch/answer" &
  child=$!
  wait "$child" || curl_status=$?
  child=
  # No newline at the end: read fills both and returns false.
  read -r http_code final_url <"$scratch/answer" || true
}

# Is this a web page? Neither a zip archive nor an HDF5 file starts with "<".
is_page() {
  local start
  start=$(head -c 256 "$1" | LC_ALL=C tr -d '\0\357\273\277[:space:]')
  [[ $start == '<'* ]]
}

explain_curl() {
  local host=${1#*://}
  host=${host%%/*}
  case $curl_status in
    1 | 3) fail "$1 is not an http or https address" ;;
    5 | 6 | 7)
      fail "cannot reach $host: check the network or the proxy$(kept)" ;;
    23)
      fail "cannot write to $dir: the disk is full or it is read-only$(kept)" ;;
    35 | 51 | 53 | 54 | 58 | 59 | 60 | 77 | 80 | 83 | 90 | 91)
      fail "no trusted connection to $host (curl $curl_status)$(kept)" ;;
    47) fail "$host redirects in a circle" ;;
    *) fail "the connection to $host broke (curl $curl_status)$(kept)" ;;
  esac
}

# explain_page URL: follows a page's form by setting `next`, or fails.
next=
explain_page() {
  local meaning by_hand="$dir/$by_hand_name and run the same command again"
  meaning=$(python_tool read_page "$scratch/page" "$final_url")
  rm -f "$scratch/page"
  case $meaning in
    "form "*) next=${meaning#form } ;;
    quota) fail "too many people fetched this file today and Google Drive has\
 closed it: wait 24 hours, or fetch $browser_url with a browser, put the file\
 at $by_hand" ;;
    *)
      if [[ $http_code =~ ^[45] ]]; then fail "HTTP $http_code from $1"; fi
      fail "$1 answered with a web page (HTTP $http_code, ${meaning#page })\
 instead of the file: fetch $browser_url with a browser, put the file at\
 $by_hand" ;;
  esac
}

# One request for the file. Returns 0 when $part is all there, 1 to try again
# (at $next if that is set, else at the same address).
attempt() {
  local url=$1 before
  before=$(size_of "$part")
  next=
  fetch "$url" "$part"
  if [[ $curl_status == 33 && $http_code == 200 ]]; then
    # The answer is not a rest: a page, or a server that cannot resume.
    fetch "$url" "$scratch/page"
    if ((curl_status == 0)) && ! is_page "$scratch/page"; then
      mv -f "$scratch/page" "$part"
    fi
  elif ((before == 0)) && [[ -s $part ]] && is_page "$part"; then
    mv -f "$part" "$scratch/page"
  fi
  if [[ -f $scratch/page ]] && ((curl_status == 0)); then
    explain_page "$url"
    return 1
  fi
  if [[ $http_code == 416 ]]; then
    # Longer than the file is: not a part of it.
    rm -f "$part"
    return 1
  fi
  if [[ $http_code =~ ^[45] ]]; then
    if ((before == 0)); then rm -f "$part"; fi
    fail "HTTP $http_code from $url$(kept)"
  fi
  case $curl_status in
    0) return 0 ;;
    18 | 28 | 52 | 55 | 56 | 92) # broke off: go on if that brought anything
      if (($(size_of "$part") > before)); then return 1; fi ;;
  esac
  explain_curl "$url"
}

# download URL: leaves the whole file in $part.
download() {
  local url=$1 tries pages=0
  if [[ -s $part ]]; then
    echo "going on at byte $(size_of "$part") of $url"
  else
    echo "fetching $url"
  fi
  for ((tries = 0; tries < 20; tries++)); do
    if attempt "$url"; then return; fi
    if [[ -n $next ]]; then
      url=$next
      # One page is usual; a server that sends them for ever is not.
      if ((++pages > 3)); then break; fi
    fi
  done
  fail "gave up on $1: it never sent the whole file$(kept)"
}

# check_weights FILE: prints what is wrong with it, if anything.
check_weights() {
  local bytes sum
  bytes=$(size_of "$1")
  if [[ $bytes != "$vgg16_bytes" ]]; then
    echo "has $bytes bytes instead of $vgg16_bytes"
    return
  fi
  sum=$(python_tool md5 "$1") || { echo "$sum" && return; }
  if [[ $sum != "$vgg16_md5" ]]; then
    echo "has MD5 $sum instead of $vgg16_md5"
  fi
}

get_vgg16() {
  local result=$dir/$VGG16_FILE wrong
  if [[ -e $result ]]; then
    wrong=$(check_weights "$result")
    if [[ -n $wrong ]]; then
      fail "$result is there but $wrong: remove it and run this again"
    fi
    echo "already there: $result"
    return
  fi
  prepare
  if (($(size_of "$part") > vgg16_bytes)); then rm -f "$part"; fi
  if (($(size_of "$part") < vgg16_bytes)); then download "$vgg16_url"; fi
  wrong=$(check_weights "$part")
  if [[ -n $wrong ]]; then
    rm -f "$part"
    fail "what came from $vgg16_url $wrong: removed, run this again"
  fi
  mv "$part" "$result"
  echo "done: $result ($vgg16_bytes bytes, MD5 $vgg16_md5)"
  echo "train with --encoder_weights=$(printf %q "$result")"
}

print_commands() {
  local tool folder split
  tool=$(printf %q "$(dirname -- "$0")/convert_to_tfrecord.py")
  folder=$(printf %q "$dir/dataset1")
  echo "convert with:"
  for split in train val; do
    cat <<COMMAND
  python $tool \\
    --images_dir=$folder/$split/images \\
    --annotations_dir=$folder/$split/annotations \\
    --output_dir=${folder}_records --split=$split --num_classes=11 \\
    --void_labels=11 --class_names=$folder/class_names.txt
COMMAND
  done
}

get_dataset1() {
  local result=$dir/dataset1 archive=$part counts status=0
  if [[ -e $result ]]; then
    counts=$(python_tool report "$result") ||
      fail "$result is there but $counts: remove it and run this again"
    echo "already there: $result"
  else
    prepare
    if [[ -f $dir/dataset1.zip ]]; then
      archive=$dir/dataset1.zip
    elif ! python_tool is_zip "$part" >/dev/null; then
      download "$dataset1_url"
    fi
    counts=$(python_tool unpack "$archive" "$scratch" "$result") || status=$?
    if ((status == 3)) && [[ $archive == "$part" ]]; then
      rm -f "$part"
      fail "what came from $dataset1_url $counts: removed, run this again"
    elif ((status == 3)); then
      fail "$archive $counts: replace or remove it"
    elif ((status)); then
      fail "cannot unpack $archive (it is kept): $counts"
    fi
    rm -f "$part"
    echo "done: $result"
  fi
  echo "$counts"
  print_commands
}

main() {
  case ${1-} in
    -h | --help) usage && exit 0 ;;
    dataset1 | vgg16) ;;
    *) fail "say what to fetch, dataset1 or vgg16 (--help tells more)" 2 ;;
  esac
  case ${2-} in
    -h | --help) usage && exit 0 ;;
    -*) fail "unknown option $2 (--help tells more)" 2 ;;
  esac
  if (($# > 2)); then fail "too many arguments: $3 (--help tells more)" 2; fi
  if [[ ! $vgg16_bytes =~ ^[1-9][0-9]*$ ]]; then
    fail "SEGNET_VGG16_BYTES=$vgg16_bytes is not a number of bytes" 2
  fi
  if [[ ! $vgg16_md5 =~ ^[0-9a-f]{32}$ ]]; then
    fail "SEGNET_VGG16_MD5=$vgg16_md5 is not 32 hexadecimal digits" 2
  fi
  command -v curl >/dev/null || fail "needs curl: install it"
  # Not only to be found: a version manager's stand-in may lead nowhere.
  python3 -IS -c 'import zipfile, zlib' 2>/dev/null ||
    fail "needs python3 with zlib: install it"

  dir=${2:-data}
  dir=${dir%/}
  dir=${dir:-/}
  mkdir -p -- "$dir" 2>/dev/null || fail "cannot create the folder $dir"
  if [[ $1 == dataset1 ]]; then
    by_hand_name=dataset1.zip
    browser_url=${SEGNET_DATASET1_URL:-$DRIVE_VIEW}
  else
    by_hand_name=$VGG16_FILE
    browser_url=$vgg16_url
  fi
  # Two runs must not write one part; the second then finds the first's result.
  # A lock on the folder itself leaves nothing behind.
  if command -v flock >/dev/null; then
    exec 9<"$dir"
    flock -n 9 2>/dev/null || if (($? == 1)); then
      echo "waiting for another download into $dir"
      flock 9
    fi
  fi
  part=$dir/.$by_hand_name.part
  trap clean_up EXIT
  trap 'stopped 129' HUP
  trap 'stopped 130' INT
  trap 'stopped 143' TERM
  scratch=$dir/.$by_hand_name.scratch
  "get_$1"
}

main "$@"
