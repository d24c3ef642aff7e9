#!/bin/sh
# found.sh [CONFIG] [STATES]: makes the file of the cluster, its certificates and the founders' files, once. For a laboratory: all
# containers share the folder with all keys. On machines of your own make certificates elsewhere, and give each machine its own.
set -eu
config=${1:-/etc/raftlab} states=${2:-/states}
if [ ! -e "$config/cluster.toml" ]; then
    new="$config/new.toml"
    rm -rf "$new" "$config/certs"
    raftlab cluster 3 --write-config "$new" >/dev/null
    for node in 1 2 3; do sed -i "s/127.0.0.1:700$node/n$node:7001/" "$new"; done
    sed -i '1i certificates = "certs"' "$new"
    raftlab node certs new-ca --config "$new"
    for node in n1 n2 n3; do raftlab node certs node "$node" --config "$new"; done
    raftlab node certs admin operator --config "$new"
    mv "$new" "$config/cluster.toml"
fi
# The volume of each node is its /var/lib/raftlab, with the folder "states" in it.
for node in n1 n2 n3; do
    [ -e "$states/$node/states" ] || raftlab node "$node" --init --config "$config/cluster.toml" --states "$states/$node/states"
done
[ "$(id -u)" -ne 0 ] || ! id raftlab >/dev/null 2>&1 || chown -R raftlab:raftlab "$config" "$states"
