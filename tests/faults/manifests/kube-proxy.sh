#!/bin/sh
# `up NODE`: kube-proxy of a node becomes a Pod of DaemonSet kube-system/kube-proxy. `down`: takes it away again.
set -e
here=$(dirname "$0")
case $1 in
  up)
    bin=$(dirname "$(readlink -f "$(command -v kubectl)")")
    kubectl -n kube-system get configmap kube-proxy -o yaml >"$(dirname "$KUBECONFIG")/kube-proxy.before"
    sed "s#@BIN@#$bin#; s#@NODE@#$2#" "$here/kube-proxy.yaml" | kubectl apply -f - >/dev/null
    kubectl -n kube-system rollout status daemonset/kube-proxy --timeout=60s
    ;;
  down)
    kubectl -n kube-system delete daemonset/kube-proxy --ignore-not-found --wait=false
    kubectl -n kube-system delete pods -l k8s-app=kube-proxy --grace-period=1 --wait
    kubectl replace --force -f "$(dirname "$KUBECONFIG")/kube-proxy.before" >/dev/null 2>&1 || true
    ;;
esac
