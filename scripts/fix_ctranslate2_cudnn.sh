#!/usr/bin/env bash
# Heal the cuDNN loader that ctranslate2 4.5.0 to 4.6.1 bundles; for images and people without gpu-doctor.
#
#   RUN bash fix_ctranslate2_cudnn.sh --prefix /opt/venv
#
# Those wheels bring ctranslate2.libs/libcudnn-XXXXXXXX.so.9.1.0. It is only cuDNN's thin loader, and it looks for the
# parts of cuDNN (libcudnn_ops.so.9 and so on) in its own folder, where none lies: the first call aborts with "Unable to
# load any of {libcudnn_ops.so.9.1.0, ...}". What heals it is a link to every part beside the loader. Replacing only the
# loader by a link, as is often advised, changes nothing: the folder that counts is that of the path that was opened.
#
# Needs bash 4 and coreutils or BusyBox; no Python. Everything happens inside the environment's folder. Installers share
# files between environments by hard links, so no file that exists is written into: a new one takes its place.

# shellcheck disable=SC2015 # in "a && b || c", c is meant for a false a as much as for a false b
# Only plain sh up to here, so that dash and BusyBox sh come this far.
if [ -z "${BASH_VERSION:-}" ]; then
    if command -v bash >/dev/null 2>&1 && [ -f "$0" ]; then exec bash "$0" "$@"; fi
    echo "fix_ctranslate2_cudnn: this script needs bash" >&2
    exit 2
fi
if [ "${BASH_VERSINFO[0]}" -lt 4 ]; then
    echo "fix_ctranslate2_cudnn: this script needs bash 4 or later, this is $BASH_VERSION" >&2
    exit 2
fi

export LC_ALL=C # the order of names, and what a byte is, must not depend on the machine
unset CDPATH
shopt -s nullglob

# shellcheck disable=SC2016 # the names of the variables are meant
HELP='usage: fix_ctranslate2_cudnn.sh [--check | --undo] [--dry-run] [--prefix DIR]

Links the parts of cuDNN (package nvidia-cudnn-cu12) beside the loader that ctranslate2 4.5.0 to 4.6.1 bundles, and
clears away what remedies that do not help have left there. A second run changes nothing.

  --check       change nothing; exit 0 if healthy, 1 if it needs the repair
  --undo        take back, byte for byte, what this script did
  --dry-run     say what would be done and do nothing
  --prefix DIR  the environment, the folder that holds lib/python3.X (default: $VIRTUAL_ENV, ./.venv, $CONDA_PREFIX,
                the one of python3 on PATH)
  --help        show this

Exit codes: 0 healed, or nothing to do; 1 cannot be healed, or needs the repair; 2 wrong usage; 4 not all was undone.'

NAME=fix_ctranslate2_cudnn
LIBS=ctranslate2.libs
CUDNN=nvidia/cudnn/lib
TEMPORARY=.gpu-doctor-script.tmp # one fixed name, so that the next run can clear it away
TAB=$'\t'

mode=fix    # fix, check or undo
dry=no      # yes: say it, do not do it
failure=1   # the exit code when something goes wrong on the way
prefix=     # the environment, as it was given, then as a physical path
base=       # the same without a trailing slash, so that "$base/lib" is right for the prefix / too
chosen=     # where the prefix comes from
troubles=0  # how many site-packages cannot be healed
sites=()    # site-packages that hold something, relative to the prefix
plan=()     # what is to be done, a line each: kind, site-packages, name, more, digest, number of the thing saved
saved=()    # links that will be lost; each one's copy goes into the state as link-NUMBER
records=()  # RECORD files to be replaced
added=()    # the names of the links that each of them gets, with a space after each
present=no  # yes: some site-packages holds ctranslate2
declare -A listed gone made needed # the latter three by physical path: what will be gone or made, and what must stay

say() { printf '%s\n' "$*"; }
complain() { printf '%s: %s\n' "$NAME" "$*" >&2; }
wrong_usage() { complain "$* (see --help)"; exit 2; }
stop() { complain "$*"; exit "$failure"; }
trouble() { complain "$*"; troubles=$((troubles + 1)); }

# Show a name that the environment chose: whatever is not plain is escaped.
shown() { case $1 in *[!\ -~]*) printf '%q' "$1" ;; *) printf '%s' "$1" ;; esac; }

plain() { case $1 in '' | *[[:cntrl:]]* | */*) return 1 ;; esac; }

# --- Where ------------------------------------------------------------------------------------------------------------

arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
            --check | --undo)
                [ "$mode" = fix ] || [ "$mode" = "${1#--}" ] || wrong_usage "--check and --undo exclude each other"
                mode=${1#--}
                ;;
            --dry-run) dry=yes ;;
            --prefix)
                [ $# -ge 2 ] || wrong_usage "--prefix needs a folder"
                prefix=$2 chosen="from --prefix"
                shift
                ;;
            --prefix=*) prefix=${1#*=} chosen="from --prefix" ;;
            -h | --help) say "$HELP"; exit 0 ;;
            *) wrong_usage "unknown argument: $(shown "$1")" ;;
        esac
        [ -z "$chosen" ] || [ -n "$prefix" ] || wrong_usage "--prefix needs a folder"
        shift
    done
    [ "$mode$dry" != checkyes ] || wrong_usage "--check changes nothing by itself, --dry-run does not go with it"
    [ "$mode" != undo ] || failure=4
}

# Python is not asked, because a sick environment can make it hang: a venv is known by its pyvenv.cfg beside the path as
# it stands on PATH; any other Python lies where its links end.
prefix_of_python() {
    local path folder hops=0
    path=$(type -P python3) || wrong_usage "no environment is active and no python3 is on PATH: say which with --prefix"
    case $path in /*) ;; *) path=$PWD/$path ;; esac
    while :; do
        folder=$(cd -P -- "${path%/*}/" 2>/dev/null && pwd -P) || return 0
        prefix=${folder%/*}
        prefix=${prefix:-/}
        [ "$hops" -ne 0 ] || [ ! -f "$prefix/pyvenv.cfg" ] || return 0
        hops=$((hops + 1))
        [ -L "$path" ] && [ "$hops" -lt 40 ] && target_of "$path" || return 0
        case $target in /*) path=$target ;; *) path=$folder/$target ;; esac
    done
}

choose_prefix() {
    if [ -n "$prefix" ]; then
        :
    elif [ -n "${VIRTUAL_ENV:-}" ]; then
        # shellcheck disable=SC2016 # the name of the variable is meant
        prefix=$VIRTUAL_ENV chosen='from $VIRTUAL_ENV'
    elif [ -d .venv ]; then
        prefix=.venv chosen='from ./.venv'
    elif [ -n "${CONDA_PREFIX:-}" ]; then
        # shellcheck disable=SC2016
        prefix=$CONDA_PREFIX chosen='from $CONDA_PREFIX'
    else
        prefix_of_python
        chosen='from python3 on PATH'
    fi
    case $prefix in
        *[[:cntrl:]]*) wrong_usage "the environment's path holds control characters: $(shown "$prefix")" ;;
        /*) base=$prefix ;;
        *) base=./$prefix ;; # so that a leading minus is part of a name
    esac
    [ -d "$base" ] || wrong_usage "no such folder: $prefix ($chosen)"
    prefix=$(cd -P -- "$base" 2>/dev/null && pwd -P) || wrong_usage "this folder cannot be entered: $prefix ($chosen)"
    base=${prefix%/}
}

# Say whether a folder, with its links followed, lies inside the environment.
inside() {
    local real
    real=$(cd -P -- "$1" 2>/dev/null && pwd -P) || return 1
    case $real in "$base"/*) return 0 ;; *) return 1 ;; esac
}

find_sites() {
    local folder real found=no
    local -A seen=()
    for folder in "$base"/{lib,lib64,local/lib}/python3*/{site,dist}-packages; do
        [ -d "$folder" ] || continue
        found=yes
        if ! inside "$folder"; then
            set -- "$folder"/ctranslate2*
            [ $# -eq 0 ] || trouble "${folder#"$base"/} leads out of the environment: not touched"
            continue
        fi
        real=$(cd -P -- "$folder" && pwd -P)
        case $real in *[[:cntrl:]]*) continue ;; esac
        [ -z "${seen[$real]:-}" ] || continue # lib64 is often a link to lib
        seen[$real]=yes
        sites+=("${real#"$base"/}")
    done
    [ "$found" = yes ] || [ "$mode" = undo ] ||
        wrong_usage "$prefix ($chosen) holds no lib/python3*/site-packages: not a Python environment"
}

# --- Reading ----------------------------------------------------------------------------------------------------------

# Set $target to what a link holds, to the byte: $(…) alone would eat line ends.
target_of() { target=$(readlink "$1" && printf x) && target=${target%$'\n'x}; }

# Set $digest to the sha256 of a file as RECORD writes it: URL-safe base64 without padding, three hex digits at a time.
digest_of() {
    local hex number i letters=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_
    digest=
    [ -r "$1" ] && hex=$(sha256sum <"$1" 2>/dev/null) || return 1
    hex=${hex%% *}
    [ "${#hex}" -eq 64 ] || return 1
    hex=${hex}00
    for ((i = 0; i < 66; i += 3)); do
        number=$((16#${hex:i:3}))
        digest+=${letters:number >> 6:1}${letters:number & 63:1}
    done
    digest=${digest:0:43}
}

# Fill $listed with the paths of a RECORD that matter here, $line_end with its line ending, and $complete with whether
# the last line is ended.
read_record() {
    local line path
    line_end=$'\n' complete=yes
    [ -f "$1" ] && [ ! -L "$1" ] && [ -r "$1" ] || return 1
    local first=yes
    while IFS= read -r line || { [ -n "$line" ] && complete=no; }; do
        case $first$line in yes*$'\r') line_end=$'\r\n' ;; esac
        first=no
        line=${line%$'\r'}
        case $line in \"*) path=${line#\"} path=${path%%\"*} ;; *) path=${line%%,*} ;; esac
        case $path in "$LIBS"/* | "$CUDNN"/*) listed[$path]=${line#*,} ;; esac
    done <"$1"
}

# Follow a link as things will be when the plan is done; every link on the way is noted in $trail.
leads_somewhere() {
    local path=$1 folder hops=0
    trail=()
    while [ "$hops" -lt 40 ]; do
        hops=$((hops + 1))
        folder=$(cd -P -- "${path%/*}/" 2>/dev/null && pwd -P) || return 1
        path=${folder%/}/${path##*/}
        [ -z "${made[$path]:-}" ] || return 0
        [ -z "${gone[$path]:-}" ] || return 1
        if [ ! -L "$path" ]; then
            [ -e "$path" ]
            return
        fi
        trail+=("$path")
        target_of "$path" || return 1
        case $target in /*) path=$target ;; *) path=${folder%/}/$target ;; esac
    done
    return 1
}

# --- Judging one site-packages ----------------------------------------------------------------------------------------

add() { plan+=("$1$TAB$rel$TAB$2$TAB$3$TAB$4$TAB$5"); }

# Take a line of a plan apart; `-` stands for nothing.
take_apart() {
    local rest=$1
    kind=${rest%%"$TAB"*} rest=${rest#*"$TAB"}
    where=${rest%%"$TAB"*} rest=${rest#*"$TAB"}
    name=${rest%%"$TAB"*} rest=${rest#*"$TAB"}
    more=${rest%%"$TAB"*} rest=${rest#*"$TAB"}
    hash=${rest%%"$TAB"*} number=${rest#*"$TAB"}
}

# Keep a link for the undo; its number is the last of $saved.
keep() { saved+=("$1"); }

find_dist_info() {
    local folder
    info='' version=
    for folder in "$site"/ctranslate2-*.dist-info; do
        [ -d "$folder" ] && plain "${folder##*/}" || continue
        [ -z "$info" ] || [ ! -e "$info/RECORD" ] || continue
        info=$folder version=${folder##*/ctranslate2-} version=${version%.dist-info}
    done
}

# The loaders that RECORD lists, else those that lie there; a copy named ….bak is none.
find_loaders() {
    local path name
    loaders=()
    for path in "${!listed[@]}"; do
        name=${path#"$LIBS"/}
        case $name in libcudnn-*.so.[0-9]*) plain "$name" && loaders+=("$name") ;; esac
    done
    [ ${#loaders[@]} -eq 0 ] || return 0
    for path in "$site/$LIBS"/libcudnn-*.so.[0-9]*; do
        name=${path##*/}
        case ${name##*.so.} in *[!0-9.]*) ;; *) plain "$name" && loaders+=("$name") ;; esac
    done
}

# Nothing is written through a link that leads out of the environment.
folders_are_inside() {
    local folder
    for folder in "$LIBS" nvidia nvidia/cudnn "$CUDNN" "${info##*/}"; do
        if [ -n "$folder" ] && [ -e "$site/$folder" ] && ! inside "$site/$folder"; then
            trouble "$rel/$folder leads out of the environment: not touched"
            return 1
        fi
    done
}

# What there is to heal; says why not otherwise.
is_ill() {
    local name major
    find_dist_info
    if [ -z "$info" ] && [ ! -e "$site/ctranslate2" ] && [ ! -e "$site/$LIBS" ]; then
        return 1
    fi
    present=yes
    what="ctranslate2${version:+ $(shown "$version")}"
    folders_are_inside || return 1
    listed=()
    if [ -n "$info" ] && { [ -e "$info/RECORD" ] || [ -L "$info/RECORD" ]; } && ! read_record "$info/RECORD"; then
        trouble "$rel/${info##*/}/RECORD is a link or cannot be read: not touched"
        return 1
    fi
    find_loaders
    if [ ${#loaders[@]} -eq 0 ]; then
        say "$rel: $what bundles no cuDNN: nothing to do."
        return 1
    fi
    for name in "${loaders[@]}"; do
        major=${name##*.so.} major=${major%%.*}
        [ "$major" = 9 ] && continue
        trouble "$rel: $what bundles a loader for cuDNN $major ($(shown "$name")); today's wheels bring cuDNN 9, and" \
            "no link changes that; upgrade: pip install 'ctranslate2>=4.6.3,<4.8.2'"
        return 1
    done
}

# The parts of cuDNN that are really there.
find_parts() {
    local path name
    parts=()
    for path in "$site/$CUDNN"/libcudnn_*.so.9; do
        name=${path##*/}
        [ -f "$path" ] && [ ! -L "$path" ] && plain "$name" && parts+=("$name")
    done
    if [ ${#parts[@]} -eq 0 ]; then
        trouble "$rel: $what needs cuDNN 9, and $CUDNN holds no libcudnn_*.so.9;" \
            "run: pip install 'nvidia-cudnn-cu12==9.*', then this script again"
        return 1
    fi
}

plan_links() {
    local name path
    for name in "${parts[@]}"; do
        path=$site/$LIBS/$name
        if [ ! "$site/$LIBS/../$CUDNN/$name" -ef "$site/$CUDNN/$name" ]; then
            trouble "$rel: a link from $LIBS to ../$CUDNN would not lead there: not touched"
            return 1
        elif [ -L "$path" ]; then
            target_of "$path"
            [ "$target" != "../$CUDNN/$name" ] || { correct[$name]=yes && continue; }
            keep "$path"
            add replaced "$name" - - $((${#saved[@]} - 1))
        elif [ -e "$path" ]; then
            say "$rel: $LIBS/$name is no link; it stays as it is."
            continue
        else
            add made "$name" - - -
        fi
        made[$real_libs/$name]=yes
        missing=$((missing + 1))
        fresh[$name]=yes
    done
}

# A loader that was replaced by a link, or is gone, comes back where somebody kept it; else its link must lead to a file.
plan_loader() {
    local name=$1 path=$site/$LIBS/$1 wanted copy number=- digest
    [ -L "$path" ] || [ ! -e "$path" ] || return 0
    wanted=${listed[$LIBS/$name]:-}
    case $wanted in sha256=*) wanted=${wanted#sha256=} wanted=${wanted%%,*} ;; *) wanted= ;; esac
    for copy in "$path"?*; do
        [ -n "$wanted" ] && [ -f "$copy" ] && [ ! -L "$copy" ] && plain "${copy##*/}" || continue
        digest_of "$copy" && [ "$digest" = "$wanted" ] || continue
        if [ -L "$path" ]; then keep "$path" && number=$((${#saved[@]} - 1)); fi
        add loader "$name" "${copy##*/}" "$wanted" "$number"
        made[$real_libs/$name]=yes gone[$real_libs/${copy##*/}]=yes
        return 0
    done
    if ! leads_somewhere "$path"; then
        trouble "$rel: the loader $LIBS/$(shown "$name") is gone or a link to nothing, and no copy of it is beside it;" \
            "reinstall ctranslate2 (pip install --force-reinstall --no-deps 'ctranslate2==${version:-4.6.1}')"
        return 1
    fi
    for path in "${trail[@]}"; do needed[$path]=yes; done # what it leads through must stay
}

add_removed() { # FOLDER NAME
    keep "$site/$1/$2"
    add removed "$2" "$1" - $((${#saved[@]} - 1))
}

# In nvidia/cudnn/lib: links that the wheel did not bring. Without its RECORD nobody can tell, so all stay.
plan_removals_beside_the_parts() {
    local path name info known=no
    listed=()
    for info in "$site"/nvidia_cudnn_cu1*.dist-info; do
        read_record "$info/RECORD" && known=yes
    done
    [ "$known" = yes ] || return 0
    for path in "$site/$CUDNN"/libcudnn*; do
        name=${path##*/}
        [ -L "$path" ] && plain "$name" && [ -z "${listed[$CUDNN/$name]:-}" ] || continue
        [ -z "${needed[$real_cudnn/$name]:-}" ] || continue
        gone[$real_cudnn/$name]=yes
        add_removed "$CUDNN" "$name"
    done
}

# In ctranslate2.libs: links to nothing and the versioned ones. One that goes may leave another without a target, so
# look until nothing is found any more.
plan_removals_beside_the_loader() {
    local path name before=-1
    while [ "$before" -ne ${#gone[@]} ]; do
        before=${#gone[@]}
        for path in "$site/$LIBS"/libcudnn*; do
            name=${path##*/}
            [ -L "$path" ] && plain "$name" || continue
            [ -z "${made[$real_libs/$name]:-}${gone[$real_libs/$name]:-}${needed[$real_libs/$name]:-}" ] || continue
            case " ${loaders[*]} " in *" $name "*) continue ;; esac
            case $name in libcudnn_*.so.9.*) ;; *) ! leads_somewhere "$path" || continue ;; esac
            gone[$real_libs/$name]=yes
            add_removed "$LIBS" "$name"
        done
    done
}

# RECORD lists the links this script makes, so that an uninstall takes them along. A run that was killed has made some.
plan_record() {
    local name lines='' step line kind where more hash number
    [ -n "$info" ] && [ -e "$info/RECORD" ] || return 0
    for step in "$base"/.gpu-doctor/script/*[0-9]/plan; do
        while IFS= read -r line; do
            take_apart "$line"
            case $kind in made | replaced) ;; *) continue ;; esac
            [ "$where" = "$rel" ] && [ -n "${correct[$name]:-}" ] && fresh[$name]=yes
        done <"$step"
    done
    for name in "${parts[@]}"; do
        [ -n "${fresh[$name]:-}" ] && [ -z "${listed[$LIBS/$name]+yes}" ] && lines+="$name "
    done
    [ -n "$lines" ] || return 0
    number=${#records[@]}
    records+=("$info/RECORD") added+=("$lines")
    add record "${info##*/}" - - "$number"
}

# Say whether this user may do what the plan has from this line on.
writable() {
    local line folder kind where name more hash number
    for line in "${plan[@]:$1}"; do
        take_apart "$line"
        case $kind in removed) folder=$more ;; record) folder=$name ;; *) folder=$LIBS ;; esac
        [ -w "$site/$folder" ] || { trouble "$rel/$folder cannot be written to by this user"; return 1; }
    done
}

# Add to the plan what one site-packages needs; one that cannot be healed adds nothing.
judge() {
    rel=$1 site=$base/$1
    local real_libs real_cudnn before=${#plan[@]} kept=${#saved[@]} lists=${#records[@]} missing=0 name ours
    local -A correct=() fresh=()
    made=() gone=() needed=()
    is_ill && find_parts || return 0
    real_libs=$(cd -P -- "$site/$LIBS" 2>/dev/null && pwd -P) || real_libs=
    real_cudnn=$(cd -P -- "$site/$CUDNN" && pwd -P)
    ours=$troubles
    if [ -z "$real_libs" ]; then
        trouble "$rel: $LIBS is missing; reinstall ctranslate2"
    elif plan_links; then
        for name in "${loaders[@]}"; do plan_loader "$name" || break; done
        [ "$ours" -ne "$troubles" ] || plan_record
        [ "$ours" -ne "$troubles" ] || plan_removals_beside_the_parts
        [ "$ours" -ne "$troubles" ] || plan_removals_beside_the_loader
        [ "$ours" -ne "$troubles" ] || writable "$before"
    fi
    if [ "$ours" -ne "$troubles" ]; then
        plan=("${plan[@]:0:before}") saved=("${saved[@]:0:kept}")
        records=("${records[@]:0:lists}") added=("${added[@]:0:lists}")
    elif [ "$before" -eq ${#plan[@]} ]; then
        say "$rel: $what has every part of cuDNN beside its loader: nothing to do."
    else
        say "$rel: $what bundles the cuDNN loader $(shown "${loaders[0]}")," \
            "which needs the ${#parts[@]} parts of cuDNN beside it; $missing of them were not linked there."
    fi
}

describe() {
    local line kind where name more hash number
    for line in "${plan[@]}"; do
        take_apart "$line"
        case $kind in
            made) say "  link $LIBS/$name -> ../$CUDNN/$name" ;;
            replaced) say "  link $LIBS/$name -> ../$CUDNN/$name, in the place of a wrong link" ;;
            loader) say "  put $LIBS/$(shown "$more") back as $(shown "$name")" ;;
            removed) say "  remove the stale link $more/$(shown "$name")" ;;
            record) say "  list the links in $(shown "$name")/RECORD" ;;
        esac
    done
}

# --- Doing ------------------------------------------------------------------------------------------------------------

# The notes for the undo lie in a folder of this name for each run, numbered; NUMBER.new is one that does not count.
open_state() {
    local folder
    state=$base/.gpu-doctor/script
    for folder in "$base/.gpu-doctor" "$state"; do
        [ ! -L "$folder" ] && { [ -d "$folder" ] || [ ! -e "$folder" ]; } ||
            stop "${folder#"$base"/} is not a folder of this environment: not touched"
    done
}

last_step() {
    local folder
    last=0
    for folder in "$state"/*[0-9]; do
        folder=${folder##*/}
        case $folder in *[!0-9]*) ;; *) [ "$folder" -le "$last" ] || last=$folder ;; esac
    done
}

# What a killed run may have left beside the place where it was to go.
clear_temporaries() {
    local site folder
    for site in "${sites[@]}"; do
        for folder in "$base/$site/$LIBS" "$base/$site/$CUDNN" "$base/$site"/ctranslate2-*.dist-info; do
            [ -L "$folder/$TEMPORARY" ] || [ -f "$folder/$TEMPORARY" ] || continue
            if inside "$folder"; then rm -f "$folder/$TEMPORARY" || stop "cannot clear $folder"; fi
        done
    done
}

# Put a link in the place of what may be there, in one step. mv would move into a folder that an old link leads to.
put_link() { # TARGET PATH
    local temporary=${2%/*}/$TEMPORARY
    rm -f "$temporary" && ln -s -- "$1" "$temporary" || return 1
    if [ -L "$2" ] && [ -d "$2" ]; then rm -f "$2" || return 1; fi
    mv -f "$temporary" "$2"
}

# Write a RECORD with lines for these links as a new file; cp -p keeps the mode and, for root, the owner.
write_record() { # RECORD NEW NAMES
    local name lines='' mode=
    read_record "$1" && cp -p "$1" "$2" || return 1
    [ "$complete" = yes ] || lines=$line_end
    for name in $3; do lines+="$LIBS/$name,,$line_end"; done
    if [ ! -w "$2" ]; then
        mode=$(stat -c %a "$2") && chmod u+w "$2" || return 1
    fi
    printf '%s' "$lines" >>"$2" || return 1
    [ -z "$mode" ] || chmod "$mode" "$2"
}

# Everything the undo needs is on the disk before anything is changed.
write_state() {
    local i
    mkdir -p "$state" 2>/dev/null || stop "cannot make $state: $prefix cannot be written to by this user"
    rm -rf "$state"/*.new || stop "cannot clear $state"
    last_step
    step=$state/$((last + 1))
    mkdir "$step.new" 2>/dev/null || stop "cannot write the notes for the undo: nothing was changed"
    for i in "${!saved[@]}"; do
        target_of "${saved[i]}" && ln -s -- "$target" "$step.new/link-$i" ||
            stop "cannot write the notes for the undo: nothing was changed"
    done
    for i in "${!records[@]}"; do
        { ln "${records[i]}" "$step.new/record-$i" 2>/dev/null || cp -p "${records[i]}" "$step.new/record-$i"; } &&
            write_record "${records[i]}" "$step.new/new-record-$i" "${added[i]}" ||
            stop "cannot write the notes for the undo: nothing was changed"
    done
    { printf '%s\n' "${plan[@]}" >"$step.new/plan"; } 2>/dev/null ||
        stop "cannot write the notes for the undo: nothing was changed"
    flush "$step.new"/* "$step.new"
    mv "$step.new" "$step" || stop "cannot write the notes for the undo: nothing was changed"
    flush "$state"
}

# A sync that knows no files answers with an error or flushes everything; both are fine.
flush() {
    local path files=()
    for path in "$@"; do [ -L "$path" ] || files+=("$path"); done
    sync "${files[@]}" 2>/dev/null || :
}

apply() {
    local line kind where name more hash number site
    for line in "${plan[@]}"; do
        take_apart "$line"
        site=$base/$where
        case $kind in
            made | replaced)
                put_link "../$CUDNN/$name" "$site/$LIBS/$name" && [ "$site/$LIBS/$name" -ef "$site/$CUDNN/$name" ]
                ;;
            loader) mv -f "$site/$LIBS/$more" "$site/$LIBS/$name" ;;
            removed) rm -f "$site/$more/$name" ;;
            record)
                cp -p "$step/new-record-$number" "$site/$name/$TEMPORARY" &&
                    flush "$site/$name/$TEMPORARY" &&
                    mv -f "$site/$name/$TEMPORARY" "$site/$name/RECORD"
                ;;
        esac || stop "stopped half way at $where/$(shown "$name"); run this again, or with --undo"
    done
}

# --- Undoing ----------------------------------------------------------------------------------------------------------

is_link() { [ -L "$1" ] && target_of "$1" && [ "$target" = "$2" ]; } # PATH TARGET
is_file() { [ -f "$1" ] && [ ! -L "$1" ]; }
is_nothing() { [ ! -L "$1" ] && [ ! -e "$1" ]; }
same_content() { [ "$(cat "$1" && printf x)" = "$(cat "$2" && printf x)" ]; } 2>/dev/null

# Announce a step; false in a dry run.
will() {
    say "  $1 $(shown "${2#"$base"/}")"
    [ "$dry" = no ]
}
changed() { trouble "${1#"$base"/} was changed since: left as it is"; }
failed() { stop "cannot put back ${1#"$base"/}; run --undo again"; }

undo_link() {
    local path=$site/$LIBS/$name old
    if [ "$number" = - ]; then
        is_nothing "$path" && return
        is_link "$path" "../$CUDNN/$name" || { changed "$path"; return; }
        will "take away the link" "$path" || return 0
        rm -f "$path" || failed "$path"
    else
        target_of "$step/link-$number" || { changed "$path"; return; }
        old=$target
        is_link "$path" "$old" && return
        is_link "$path" "../$CUDNN/$name" || { changed "$path"; return; }
        will "put back the link" "$path" || return 0
        put_link "$old" "$path" || failed "$path"
    fi
}

undo_removed() {
    local path=$site/$more/$name old
    target_of "$step/link-$number" || { changed "$path"; return; }
    old=$target
    is_link "$path" "$old" && return
    is_nothing "$path" || { changed "$path"; return; }
    will "put back the link" "$path" || return 0
    put_link "$old" "$path" || failed "$path"
}

undo_loader() {
    local path=$site/$LIBS/$name copy=$site/$LIBS/$more old='' digest
    if [ "$number" != - ]; then target_of "$step/link-$number" && old=$target || { changed "$path"; return; }; fi
    if is_file "$path" && is_nothing "$copy" && digest_of "$path" && [ "$digest" = "$hash" ]; then
        will "move the loader back to" "$copy" || return 0
        mv -f "$path" "$copy" || failed "$path"
    fi
    # An undo that was killed may have come as far as this.
    is_file "$copy" || { changed "$copy"; return; }
    if [ "$number" = - ]; then
        is_nothing "$path" || changed "$path"
    elif is_nothing "$path"; then
        will "put back the link" "$path" || return 0
        put_link "$old" "$path" || failed "$path"
    else
        is_link "$path" "$old" || changed "$path"
    fi
}

# Three RECORD files are compared: the one there now, the one that was there, the one this script put there.
undo_record() {
    local path=$site/$name/RECORD old=$step/record-$number new=$step/new-record-$number entry
    local -A before=() now=()
    [ -e "$path" ] || [ -L "$path" ] || return 0
    is_file "$path" && is_file "$old" && is_file "$new" || { changed "$path"; return; }
    same_content "$path" "$old" && return
    if same_content "$path" "$new"; then
        will "put back" "$path" || return 0
        rm -f "$site/$name/$TEMPORARY"
        { ln "$old" "$site/$name/$TEMPORARY" 2>/dev/null || cp -p "$old" "$site/$name/$TEMPORARY"; } &&
            mv -f "$site/$name/$TEMPORARY" "$path" || failed "$path"
        return
    fi
    # An installer wrote a new one: good, unless a line of ours is in it.
    listed=() && read_record "$old"
    for entry in "${!listed[@]}"; do before[$entry]=yes; done
    listed=() && read_record "$path"
    for entry in "${!listed[@]}"; do now[$entry]=yes; done
    listed=() && read_record "$new"
    for entry in "${!listed[@]}"; do
        [ -n "${before[$entry]:-}" ] || [ -z "${now[$entry]:-}" ] || { changed "$path"; return; }
    done
}

# The notes are believed only as far as they stay inside.
undo_line() {
    local site=$base/$where folder
    case /$where/ in */../*) trouble "the notes of ${step#"$base"/} are damaged"; return ;; esac
    case $kind in
        made | replaced | loader) folder=$LIBS ;;
        removed) folder=$more ;;
        record) folder=$name ;;
        *) folder= ;;
    esac
    case $folder in "$LIBS" | "$CUDNN" | ctranslate2-*.dist-info) ;; *) folder= ;; esac
    if [ -z "$folder" ] || ! plain "$name" || { [ "$kind" = loader ] && ! plain "$more"; }; then
        trouble "the notes of ${step#"$base"/} are damaged"
        return
    fi
    [ -d "$site/$folder" ] || return 0 # uninstalled since, and what was done went along
    inside "$site/$folder" || { trouble "$where/$folder leads out of the environment: not touched"; return; }
    case $kind in
        made | replaced) undo_link ;;
        removed) undo_removed ;;
        loader) undo_loader ;;
        record) undo_record ;;
    esac
}

undo() {
    local line kind where name more hash number before found=no
    open_state
    if [ "$dry" = no ]; then
        clear_temporaries
        rm -rf "$state"/*.new || stop "cannot clear $state"
    fi
    last_step
    for ((; last > 0; last--)); do
        step=$state/$last before=$troubles
        [ -d "$step" ] || continue
        found=yes
        [ -f "$step/plan" ] || { trouble "the notes of ${step#"$base"/} are damaged"; continue; }
        while IFS= read -r line <&3; do
            take_apart "$line"
            undo_line
        done 3<"$step/plan"
        [ "$troubles" -eq "$before" ] && [ "$dry" = no ] || continue
        mv "$step" "$step.new" && rm -rf "$step.new" || stop "cannot remove $step"
    done
    [ "$dry" = yes ] || rmdir "$state" "$base/.gpu-doctor" 2>/dev/null
    if [ "$troubles" -ne 0 ]; then
        stop "not everything was taken back. The notes stay in ${state#"$base"/}; remove that folder to forget them"
    elif [ "$found" = no ]; then
        say "nothing to undo."
    elif [ "$dry" = yes ]; then
        say "dry run: nothing was changed."
    else
        say "undone: the environment is as it was before."
    fi
}

# --- All of it --------------------------------------------------------------------------------------------------------

main() {
    local tool site
    arguments "$@"
    for tool in cat cp ln mkdir mv readlink rm rmdir; do
        type -P "$tool" >/dev/null || stop "this script needs the command $tool"
    done
    choose_prefix
    say "environment: $prefix ($chosen)"
    find_sites
    if [ "$mode" = undo ]; then
        undo
        exit 0
    fi
    [ "$mode$dry" != fixno ] || clear_temporaries
    for site in "${sites[@]}"; do judge "$site"; done
    if [ ${#plan[@]} -ne 0 ]; then
        if [ "$mode" = check ]; then
            complain "needs the repair: run this again without --check"
            exit 1
        fi
        describe
        if [ "$dry" = yes ]; then
            say "dry run: nothing was changed."
        else
            open_state
            write_state
            apply
            [ "$troubles" -ne 0 ] || say "healed: ctranslate2 finds every part of cuDNN. --undo takes it back."
        fi
    elif [ "$troubles" -eq 0 ] && [ "$present" = no ]; then
        say "ctranslate2 is not installed here: nothing to do."
    fi
    [ "$troubles" -eq 0 ] || exit 1
}

main "$@"
