#!/bin/sh
# kube-proxy of a node as a Pod of DaemonSet kube-system/kube-proxy, as kubeadm has it.
#   up NODE       in place of the one that runs on the node, which has to be ended before
#   config SED    changes its ConfigMap and restarts it
#   down          takes it away again, and puts the ConfigMap back
set -e
here=$(dirname "$0")
before="$(dirname "$KUBECONFIG")/kube-proxy.before"
case $1 in
  up)
    bin=$(dirname "$(readlink -f "$(command -v kubectl)")")
    kubectl -n kube-system get configmap kube-proxy -o yaml >"$before"
    sed "s#@BIN@#$bin#; s#@NODE@#$2#" "$here/kube-proxy.yaml" | kubectl apply -f - >/dev/null
    kubectl -n kube-system rollout status daemonset/kube-proxy --timeout=60s
    ;;
  config)
    kubectl -n kube-system get configmap kube-proxy -o yaml | sed -E "$2" | kubectl replace -f -
    kubectl -n kube-system rollout restart daemonset/kube-proxy
    ;;
  down)
    kubectl -n kube-system delete daemonset/kube-proxy --ignore-not-found --wait=false
    kubectl -n kube-system delete pods -l k8s-app=kube-proxy --grace-period=1 --wait
    kubectl replace --force -f "$before" >/dev/null 2>&1 || true
    ;;
esac
