# Bash completion of cutoutctl: commands, options, fields of a run and their values, and the ids of those runs
# that the command is for. The daemon is asked with a short timeout; when it does not answer there are no ids.

_cutoutctl_ids() {
    local state=()
    case $1 in
        cancel | kill) state=(state=queued,running,paused,held) ;;
        pause) state=(state=running) ;;
        resume) state=(state=paused) ;;
        hold) state=(state=queued) ;;
        release) state=(state=held) ;;
        requeue) state=(state=failed,canceled) ;;
        wait | watch) state=(state=queued,running) ;;
    esac
    shift
    "$@" --timeout 1 -q list limit=200 "${state[@]}" 2>/dev/null
}

# The values of a field or a filter, those behind the last comma alone.
_cutoutctl_values() {
    local values=""
    case $1 in
        preset) values="notebook-q3 notebook-q2 paper keras-example paper-v1" ;;
        dataset) values="cifar10 shapes" ;;
        copies) values="independent aliased" ;;
        normalise) values="pixel_mean channel" ;;
        optimizer) values="adam rmsprop sgd" ;;
        lr_schedule) values="constant cosine" ;;
        conv_algorithm) values="auto direct winograd" ;;
        activations) values="f32 bf16" ;;
        shortcut) values="conv conv_bn" ;;
        flip) values="false true alternate" ;;
        mix) values="none cutmix mixup erasing" ;;
        tta) values="none mirror" ;;
        last_gamma) values="one zero" ;;
        drop_last | unique_per_batch | nesterov | lr_plateau | l2_dense | conv_bias | stop_on_nan | hold) values="true false" ;;
        state) values="queued held running paused succeeded failed canceled" ;;
        sort) values="id created updated finished priority name state m cutout_size seed best best_epoch last mean_last_5 train_seconds
            -id -created -updated -finished -priority -name -state -m -cutout_size -seed -best -best_epoch -last -mean_last_5 -train_seconds" ;;
    esac
    local before="$1=" last=${2##*,}
    [ "$last" = "$2" ] || before+=${2%,*},
    compgen -P "$before" -W "$values" -- "$last"
}

_cutoutctl() {
    # Bash splits at = and : as well, which fields and addresses have.
    local line=${COMP_LINE:0:COMP_POINT} words
    read -ra words <<<"$line"
    [[ $line != *[[:space:]] ]] || words+=("")
    local n=$((${#words[@]} - 1))
    local current=${words[n]} previous=${words[n - 1]}
    local commands="submit sweep list show watch wait curve cancel kill pause resume hold release
        requeue delete queue export"
    local fields="name= preset= dataset= depth= epochs= batch_size= m= unique_per_batch= copies=
        cutout_size= cutout_squares= shift= flip= mix= mix_alpha= crop_pad= normalise= drop_last=
        optimizer= lr= momentum= nesterov= lr_schedule= lr_plateau= l2= l2_dense= grad_clip=
        label_smoothing= backward_share= ema= tta= shortcut= conv_bias= bn_epsilon= bn_momentum=
        last_gamma= seed= train_images= test_images= conv_algorithm= activations= stop= stop_on_nan=
        priority= executor= label="
    local program=${words[0]} command="" options=() offered="" i
    COMPREPLY=()
    for ((i = 1; i < n; i++)); do
        case ${words[i]} in
            --server | --token-file | --cacert) # what the ids are asked with
                options+=("${words[i]}" "${words[i + 1]}")
                ((i += 1)) ;;
            --timeout | --to) ((i += 1)) ;;
            -*) ;;
            *) [ -n "$command" ] || command=${words[i]} ;;
        esac
    done
    case $previous in
        --token-file | --cacert) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
        --to) mapfile -t COMPREPLY < <(compgen -W "tensorboard csv" -- "$current"); return ;;
        --server | --timeout) return ;;
    esac
    case $current in
        -*) offered="--curl --json --quiet --to --server --token-file --cacert --timeout --help --version" ;;
        *=*)
            case $command in
                submit | sweep | list)
                    mapfile -t COMPREPLY < <(_cutoutctl_values "${current%%=*}" "${current#*=}") ;;
            esac ;;
        *)
            case $command in
                "") offered=$commands ;;
                submit) offered="$fields after= hold= not_before= notify=" ;;
                sweep) offered="$fields hold=" ;;
                list) offered="state= m= cutout_size= dataset= preset= optimizer= copies= seed= depth=
                    owner= sweep= forked_from= label= name= text= sort= fields= limit= cursor=" ;;
                queue) ;;
                export) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
                *) offered=$(_cutoutctl_ids "$command" "$program" "${options[@]}") ;;
            esac ;;
    esac
    [ -z "$offered" ] || mapfile -t COMPREPLY < <(compgen -W "$offered" -- "$current")
    [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null
    # Bash replaces what stands behind the last = alone.
    if [[ $current == *=* && $COMP_WORDBREAKS == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${current%%=*}"=}")
    fi
}

complete -F _cutoutctl cutoutctl
