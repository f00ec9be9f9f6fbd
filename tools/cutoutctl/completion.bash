# Bash completion of cutoutctl: commands, options, fields of a run, and the ids of those runs that the
# command is for. The daemon is asked with a short timeout; when it does not answer there are no ids.

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

_cutoutctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local commands="submit sweep list show watch wait curve cancel kill pause resume hold release
        requeue delete queue"
    local fields="name= preset= dataset= depth= epochs= batch_size= m= copies= cutout_size=
        cutout_squares= shift= flip= crop_pad= normalise= drop_last= optimizer= lr= momentum= nesterov=
        lr_schedule= lr_plateau= l2= l2_dense= grad_clip= seed= train_images= test_images=
        conv_algorithm= activations= stop_on_nan= priority= executor= label="
    local program=${COMP_WORDS[0]} command="" options=() words="" i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --server | --token-file | --cacert) # what the ids are asked with
                options+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}")
                ((i += 1)) ;;
            --timeout) ((i += 1)) ;;
            -*) ;;
            *) [ -n "$command" ] || command=${COMP_WORDS[i]} ;;
        esac
    done
    case $previous in
        --token-file | --cacert) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
        --server | --timeout) return ;;
    esac
    case $current in
        -*) words="--curl --json --quiet --server --token-file --cacert --timeout --help" ;;
        *)
            case $command in
                "") words=$commands ;;
                submit) words="$fields after= hold=" ;;
                sweep) words="$fields hold=" ;;
                list) words="state= m= cutout_size= dataset= preset= optimizer= copies= seed= depth=
                    owner= sweep= label= name= sort= limit=" ;;
                queue) ;;
                *) words=$(_cutoutctl_ids "$command" "$program" "${options[@]}") ;;
            esac ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null
}

complete -F _cutoutctl cutoutctl
