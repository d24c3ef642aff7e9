#!/usr/bin/env bash
# Three nodes in network namespaces of their own, one of them cut off for a minute while the others serve: once the network is
# whole again, all must be connected within two seconds, and all that was answered must be there. The links are encrypted.
#
#     cargo build --release --features tls --bins && sudo tests/namespaces.sh [SECONDS]
#
# Needs Linux, root, ip (iproute2) and nothing else; it changes nothing outside of namespaces that it makes and removes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-60}
programs=$PWD/target/release
work=$(mktemp -d)
hub=raftlab-hub-$$
declare -a processes=()

# in_space NAME COMMAND...: runs it in this namespace.
in_space() { ip netns exec "$1" "${@:2}"; }

cleanup() {
    local status=$?
    for process in "${processes[@]}"; do kill "$process" 2>/dev/null || true; done
    wait 2>/dev/null || true
    for space in "$hub" "$hub-1" "$hub-2" "$hub-3"; do ip netns del "$space" 2>/dev/null || true; done
    [ "$status" -eq 0 ] || { echo "failed with status $status: what the nodes said:"; tail -n 5 "$work"/n?.out; } >&2
    rm -rf "$work"
}
trap cleanup EXIT

ip netns add "$hub"
in_space "$hub" ip link set lo up
in_space "$hub" ip link add bridge type bridge
in_space "$hub" ip addr add 10.97.0.254/24 dev bridge
in_space "$hub" ip link set bridge up
for n in 1 2 3; do
    ip netns add "$hub-$n"
    in_space "$hub" ip link add "port$n" type veth peer name wire netns "$hub-$n"
    in_space "$hub" ip link set "port$n" master bridge up
    in_space "$hub-$n" ip addr add "10.97.0.$n/24" dev wire
    in_space "$hub-$n" ip link set wire up
    in_space "$hub-$n" ip link set lo up
done

cd "$work"
"$programs/cluster" 3 --write-config cluster.toml >/dev/null
for n in 1 2 3; do sed -i "s/127\.0\.0\.1:700$n/10.97.0.$n:7001/" cluster.toml; done
sed -i 's/^token = /certificates = "certs"\ntoken = /' cluster.toml
"$programs/node" certs new-ca >/dev/null
"$programs/node" certs admin ann >/dev/null
for n in 1 2 3; do
    "$programs/node" certs node "n$n" >/dev/null
    in_space "$hub-$n" "$programs/node" "n$n" --init >/dev/null 2>&1
    # The process itself is the job, so that it can be stopped.
    (exec ip netns exec "$hub-$n" "$programs/node" "n$n" >"n$n.out" 2>&1) &
    processes+=("$!")
done

console() { in_space "$hub" "$programs/client"; }

printf 'wait leader\ntimeout n1\nwait leader n1\ncreate x 1\nwait converged\n' | console
echo "n1, which leads, is cut off for $seconds s"
in_space "$hub" ip link set port1 down
printf 'wait leader 10s\ncreate y 2\n' | console
sleep "$seconds"
printf 'update x 3\n' | console
in_space "$hub" ip link set port1 up
printf 'wait converged 2s\nread x @n1\nread y @n1\nstatus\n' | console
echo "healed: all nodes hold the same within two seconds"
