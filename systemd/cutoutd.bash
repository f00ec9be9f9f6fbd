# Bash completion of cutoutd. Commands and flags are what `cutoutd --help` says.

# The usage of a command, as the help has it.
_cutoutd_usage() {
    "$1" --help 2>/dev/null | awk -v command="$2" '/^$/ { on = 0 } /^  cutoutd / { on = $2 == command } on'
}

_cutoutd_flags() {
    local usage
    usage=$(_cutoutd_usage "$1" "$2")
    grep -o -- '--[a-z][a-z0-9-]*' <<<"$usage"
    [[ $usage != *'[FLAGS]'* ]] || "$1" --help | sed -n '/^Flags/,$s/^  \(--[a-z0-9-]*\) .*/\1/p'
}

_cutoutd() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local program=${COMP_WORDS[0]} command=${COMP_WORDS[1]-} offered=""
    COMPREPLY=()
    # Bash makes words of their own of =
    [ "$current" != = ] || current=""
    [ "$previous" != = ] || previous=${COMP_WORDS[COMP_CWORD - 2]}
    if ((COMP_CWORD == 1)); then
        offered="$("$program" --help 2>/dev/null | sed -n 's/^  cutoutd \([a-z][a-z-]*\).*/\1/p') --help --version"
    else
        case $previous in
            --isa) offered="auto ref blas avx2 avx512" ;;
            --conv-algorithm) offered="auto direct winograd" ;;
            --on-arithmetic-change) offered="restart continue fail" ;;
            --log-level) offered="error warning info debug" ;;
            --log-format) offered="auto text json" ;;
            --pin-threads) offered="on off" ;;
            --executors) offered="local slurm local,slurm" ;;
            --scope) offered="read submit admin" ;;
            --format) offered="text json"; [ "$command" != evaluate ] || offered+=" csv" ;;
            --state-dir | --output | --attempt | --slurm-shared-dir | --slurm-bin-dir)
                mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
            --config | --tls-cert | --tls-key | --tokens-file | --unix-socket | --slurm-program | --slurm-conf)
                mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
            --as-service | --ema) ;; # have no value
            --*)
                [[ $(_cutoutd_flags "$program" "$command") != *"$previous"* ]] || return ;; # a value of its own
        esac
        [[ $command != token || $COMP_CWORD -ne 2 || $current == -* ]] || offered="list revoke"
        if [ -z "$offered" ] && [[ $current != -* ]]; then
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
        fi
        [ -n "$offered" ] || offered=$(_cutoutd_flags "$program" "$command")
    fi
    mapfile -t COMPREPLY < <(compgen -W "$offered" -- "$current")
}

complete -F _cutoutd cutoutd
