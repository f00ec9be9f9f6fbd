# Bash completion of cutoutctl: commands (those of `cutoutctl --help`), options, fields of a run and their values, and the
# ids of those runs, sweeps or webhooks that the command is for. The daemon is asked with a short timeout; when it does
# not answer there are no ids.

# Of the commands that begin with $2 ("" or "sweep "), the next word.
_cutoutctl_commands() {
    "$1" --help 2>/dev/null | sed -n "/^Options/q; s/^  $2\([a-z]*\)\( [a-z]*\)\?   *[a-z].*/\1/p" | sort -u
}

_cutoutctl_ids() {
    local state=()
    case $1 in
        sweep\ * | link\ create | link\ list)
            shift
            "$@" --timeout 1 -q sweep list limit=200 2>/dev/null
            return ;;
        webhook\ *)
            shift
            "$@" --timeout 1 webhook list -o csv 2>/dev/null | sed -n 's/^\([0-9][0-9]*\),.*/\1/p'
            return ;;
        link\ *) return ;;
    esac
    case $1 in
        cancel | kill) state=(state=queued,running,paused,held) ;;
        pause | checkpoint\ save) state=(state=running) ;;
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
        from_epoch) values="best 0" ;;
        x) values="epoch step images seconds" ;;
        metric) values="val_error val_loss train_loss train_accuracy val_error_tta val_error_ema" ;;
        theme) values="light dark" ;;
        y) values="auto linear log" ;;
        unit) values="percent fraction" ;;
        seeds) values="mean each" ;;
        events) values="run_ended sweep_ended target_reached stalled disk_low" ;;
        template) values="json slack mattermost ntfy" ;;
        checkpoints | x_log) values="true false" ;;
        subject) values="run sweep link note setting webhook" ;;
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
    local fields="name= preset= dataset= depth= epochs= batch_size= m= unique_per_batch= copies=
        cutout_size= cutout_squares= shift= flip= mix= mix_alpha= crop_pad= normalise= drop_last=
        optimizer= lr= momentum= nesterov= lr_schedule= lr_plateau= l2= l2_dense= grad_clip=
        label_smoothing= backward_share= ema= tta= shortcut= conv_bias= bn_epsilon= bn_momentum=
        last_gamma= seed= train_images= test_images= conv_algorithm= activations= stop= stop_on_nan=
        priority= executor= label="
    local comparison="sweep= ids= group_by= x= metric= target= baseline="
    local program=${words[0]} command="" options=() offered="" said=() i
    COMPREPLY=()
    for ((i = 1; i < n; i++)); do
        case ${words[i]} in
            --server | --token-file | --cacert) # what the ids are asked with
                options+=("${words[i]}" "${words[i + 1]}")
                ((i += 1)) ;;
            --timeout | --to | -o) ((i += 1)) ;;
            -*) ;;
            *) said+=("${words[i]}") ;;
        esac
    done
    command=${said[0]-}
    if [ ${#said[@]} -gt 1 ]; then # "sweep list"
        ! _cutoutctl_commands "$program" "$command " | grep -qx -- "${said[1]}" || command+=" ${said[1]}"
    fi
    case $previous in
        --token-file | --cacert) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
        --to) mapfile -t COMPREPLY < <(compgen -W "tensorboard csv" -- "$current"); return ;;
        -o)
            case $command in
                figure* | checkpoint*) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
                *) mapfile -t COMPREPLY < <(compgen -W "wide json csv" -- "$current") ;;
            esac
            return ;;
        --server | --timeout) return ;;
    esac
    case $current in
        -*) offered="--curl --json --quiet --yes --follow -o --to --server --token-file --cacert --timeout --help --version" ;;
        *=*)
            case $command in
                submit | sweep | list | fork | edit | compare | figure* | webhook\ create | backup | audit)
                    mapfile -t COMPREPLY < <(_cutoutctl_values "${current%%=*}" "${current#*=}") ;;
            esac ;;
        *)
            [ ${#said[@]} -ne 1 ] || offered=$(_cutoutctl_commands "$program" "$command ")
            case $command in
                "") offered="$(_cutoutctl_commands "$program" "") help" ;;
                help) offered="$(_cutoutctl_commands "$program" "") fields" ;;
                help\ *) ;;
                submit) offered="$fields after= hold= not_before= notify=" ;;
                sweep) offered+=" $fields hold= halving=" ;;
                list) offered="state= m= cutout_size= dataset= preset= optimizer= copies= seed= depth=
                    owner= sweep= forked_from= label= name= text= sort= fields= limit= cursor=" ;;
                compare) offered="$comparison" ;;
                figure) offered+=" $comparison theme= width= height= title= y= x_log= unit= seeds= smooth= zoom= hide=" ;;
                figure\ cutout) offered="dataset= preset= m= cutout_size= cutout_squares= copies= seed= shift= flip= crop_pad=
                    normalise= mix= mix_alpha= train_images= index= epoch= theme=" ;;
                checkpoint\ get)
                    [ ${#said[@]} -gt 2 ] && offered="best last" || offered=$(_cutoutctl_ids show "$program" "${options[@]}") ;;
                fork)
                    [ ${#said[@]} -gt 1 ] && offered="from_epoch= $fields" || offered=$(_cutoutctl_ids show "$program" "${options[@]}") ;;
                edit)
                    offered=$(_cutoutctl_ids show "$program" "${options[@]}")
                    [ ${#said[@]} -le 1 ] || offered+=" name= priority= label= not_before=" ;;
                webhook\ create) offered="name= url= events= template= target=" ;;
                backup) offered="name= checkpoints=" ;;
                audit) offered="owner= subject= subject_id= limit= cursor=" ;;
                owners | queue | sweep\ list) offered="limit= cursor=" ;;
                link | checkpoint | webhook | webhook\ list | scheduler* | token | purge) ;;
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
