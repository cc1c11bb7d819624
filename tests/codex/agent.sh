# What the runs of real agents share: `install PACKAGE BIN`, `play STEPS`, `serve`, and a folder `$work` that is removed at the end.
# `each_upstream FUNCTION` runs a function of the script for each of the two kinds of upstreams, with `$model` set.
# Everything but the installation runs without a network, where the system allows it.

skip() { printf 'skipped: %s\n' "$*"; exit 77; }

install() { # PACKAGE FOLDER
    command -v npm >/dev/null || skip 'there is no npm'
    command -v python3 >/dev/null || skip 'there is no python3'
    if [ ! -e "$2/ready" ]; then
        mkdir -p "$2"
        npm install --silent --no-fund --no-audit --prefix "$2" "$1" >/dev/null || skip "$1 cannot be installed"
        touch "$2/ready"
    fi
}

alone() { # Runs this script again in a network of its own, which has nothing but loopback.
    if [ -z "${ALONE:-}" ]; then
        unshare -rn true 2>/dev/null || { echo 'no network namespace is to be had: going on without'; return; }
        ALONE=1 exec unshare -rn sh -c 'ip link set lo up && exec "$@"' sh "$0" "$@"
    fi
}

begin() {
    work=$(mktemp -d)
    pids=
    trap end_run EXIT
    trap 'exit 130' INT TERM
}

await() { # FILE
    for _ in $(seq 100); do [ -s "$1" ] && return; sleep 0.1; done
    echo "$1 did not come"; exit 1
}

play() { # STEPS
    printf '%s' "$1" >"$work/steps"
    python3 "$agents/model.py" "$work/model" "$work/steps" &
    pids="$pids $!"
    await "$work/model"
}

serve() { # BINARY
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    mkdir -p "$work/pipelines"
    # A run without valves of its own has an empty file.
    touch "$work/valves.toml"
    (cd "$work" && HOST=127.0.0.1 PORT=$port PIPELINES_API_KEY=$KEY PIPELINES_DIR=$work/pipelines VALVES_FILE=$work/valves.toml \
        DRAIN_SECONDS=1 exec "$1" --demo --demo-relay "http://127.0.0.1:$(cat "$work/model")/v1" --demo-relay-model played >log 2>&1) &
    pids="$pids $!"
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
        sleep 0.1
    done
    cat "$work/log"; exit 1
}

each_upstream() { # BINARY FUNCTION
    # By Bedrock (the demo's emulator, whose answers the played model writes), and by an OpenAI-compatible server.
    for model in bedrock_models.us.anthropic.claude-sonnet-4-5-20250929-v1:0 openai_proxy.gpt-5.5; do
        begin
        "$2" "$1"
        end_run
    done
}

end_run() {
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}

valves() { # Valves for the pipe of `$model`, by which it is called `$1`, too.
    case $model in
        openai_proxy.*) printf '[openai_proxy]\napi_base = "http://127.0.0.1:%s/v1"\n' "$(cat "$work/model")" ;;
        *) printf '[bedrock_models]\naliases = "%s=%s"\n' "$1" "${model#bedrock_models.}" ;;
    esac >"$work/valves.toml"
}

binary_of() { # [BINARY]
    local binary=${1:-${PIPEWRIGHT_BIN:-}}
    if [ -z "$binary" ]; then
        binary=$(cd "$root" && cargo build --release --quiet && cargo metadata --no-deps --format-version 1 |
            python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"] + "/release/pipewright")')
    fi
    realpath "$binary"
}
