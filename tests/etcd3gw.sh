#!/usr/bin/env bash
# The tests of etcd3gw 2.7.0, a client that others wrote for etcd's gateway, unchanged: on raftlab and on etcd in the same run,
# without those that need a watch or a lease. Needs bash, Python with pip, etcd, and the programs built with the feature http;
# where Python, pip or etcd is missing, or the packages cannot be had, it says so and passes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
packages=$target/etcd3gw
skip() {
    echo "etcd3gw's tests are not run: $1"
    exit 0
}

type -P python3 >/dev/null || skip "python3 is not here"
[ -n "$(type -P etcd)" ] || skip "no etcd is here to compare with"
if [ ! -e "$packages/whole" ]; then
    rm -rf "$packages"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target "$packages" \
        etcd3gw==2.7.0 oslotest pytest 2>/dev/null || skip "its packages cannot be installed with pip"
    touch "$packages/whole"
fi

folder=$(mktemp -d)
started=()
finish() {
    for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

# Three ports that are free.
read -r ours theirs peers < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(each.getsockname()[1] for each in sockets))')

program=$target/debug/cluster
(cd "$folder" && exec "$program" 3 --memory --http "127.0.0.1:$ours" --serve </dev/null >raftlab 2>&1) &
started+=($!)
(cd "$folder" && exec etcd --data-dir etcd --initial-cluster "default=http://127.0.0.1:$peers" \
    --listen-client-urls "http://127.0.0.1:$theirs" --advertise-client-urls "http://127.0.0.1:$theirs" \
    --listen-peer-urls "http://127.0.0.1:$peers" --initial-advertise-peer-urls "http://127.0.0.1:$peers" >log 2>&1) &
started+=($!)

for engine in "raftlab $ours" "etcd $theirs"; do
    read -r name port <<<"$engine"
    python3 - "$port" <<'PYTHON' || { echo "$name does not begin:"; cat "$folder/raftlab" "$folder/log"; exit 1; }
import sys, time, urllib.request
until = time.monotonic() + 30
while True:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/health", timeout=5)
        break
    except OSError:
        if time.monotonic() > until:
            sys.exit(1)
        time.sleep(0.05)
PYTHON
    echo "$name:"
    (cd "$folder" && TOOZ_TEST_HTTP_URL="http://127.0.0.1:$port" TOOZ_TEST_ETCD_PORT=$port PYTHONPATH=$packages \
        python3 -m pytest -q -p no:cacheprovider --pyargs etcd3gw.tests -k 'not watch and not lease and not lock')
done
