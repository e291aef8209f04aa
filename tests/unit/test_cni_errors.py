"""Texts of runtimes and network plugins, as they were seen on clusters or stand in the programs."""

from __future__ import annotations

import pytest

from kubectl_netdebug.net.cni_errors import Kind, classify

SANDBOX = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "
    '"ad3d5aa68a1dcf68dda24432fa9a1383143b8f9b0f85cc6829eb69acc95814bc": '
)

TEXTS = (
    (
        Kind.NO_CONFIG,
        (
            "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network "
            "plugin returns error: cni plugin not initialized"
        ),
    ),
    (Kind.NO_CONFIG, "NetworkReady=false reason:NetworkPluginNotReady message:docker: cni config uninitialized"),
    (
        Kind.NO_CONFIG,
        (
            "NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: No CNI "
            "configuration file in /etc/kubernetes/cni/net.d/. Has your network provider started?"
        ),
    ),
    (
        Kind.BAD_CONFIG,
        (
            "NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: plugin version does "
            "not allow STATUS"
        ),
    ),
    (Kind.BAD_CONFIG, SANDBOX + 'plugin type="bridge" failed (add): invalid CIDR address: 10.244.1.300/24'),
    (
        Kind.BAD_CONFIG,
        SANDBOX + 'plugin type="portmap" failed (add): incompatible CNI versions; config is "1.0.0", plugin supports '
        '["0.1.0" "0.2.0"]',
    ),
    (
        Kind.NO_PLUGIN,
        SANDBOX + 'plugin type="brigde" failed (add): failed to find plugin "brigde" in path [/opt/cni/bin]',
    ),
    (Kind.NO_PLUGIN, SANDBOX + "fork/exec /opt/cni/bin/calico: permission denied"),
    (
        Kind.NO_ADDRESS,
        SANDBOX + 'plugin type="bridge" failed (add): failed to allocate for range 0: no IP addresses available in '
        "range set: 10.244.1.3-10.244.1.4",
    ),
    (
        Kind.NO_ADDRESS,
        (
            "Failed create pod sandbox: rpc error: code = Unknown desc = NetworkPlugin cni failed to set up pod "
            '"web_default" network: no IP addresses available in network: cbr0'
        ),
    ),
    (
        Kind.BRIDGE_ADDRESS,
        SANDBOX + 'plugin type="bridge" failed (add): failed to set bridge addr: "cni0" already has an IP address '
        "different from 10.244.1.1/24",
    ),
    (
        Kind.IMAGE,
        (
            "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox image "
            '"k8s.gcr.io/pause:3.6": failed to pull image "k8s.gcr.io/pause:3.6": failed to pull and unpack image '
            '"k8s.gcr.io/pause:3.6": '
            'failed to resolve reference: failed to do request: Head "https://k8s.gcr.io/v2/": dial tcp 1.2.3.4:443: '
            "i/o timeout"
        ),
    ),
    (
        Kind.IMAGE,
        (
            "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to pull image "
            '"registry.k8s.io/pause:3.10.1": failed to pull and unpack image "registry.k8s.io/pause:3.10.1": failed to '
            'resolve image: failed to do request: Head "https://registry.k8s.io/v2/pause/manifests/3.10.1": dial tcp: '
            "lookup registry.k8s.io on 203.0.113.53:53: no such host"
        ),
    ),
    (
        Kind.SUBNET_ENV,
        SANDBOX + 'plugin type="flannel" failed (add): loadFlannelSubnetEnv failed: open /run/flannel/subnet.env: no '
        "such file or directory",
    ),
    (
        Kind.AGENT,
        SANDBOX + 'plugin type="cilium-cni" failed (add): unable to connect to Cilium agent: failed to create cilium '
        'agent client after 30.000000 seconds timeout: Get "http://localhost/v1/config": dial unix '
        "/var/run/cilium/cilium.sock: connect: no such file or directory",
    ),
    (
        Kind.AGENT,
        SANDBOX + 'plugin type="calico" failed (add): stat /var/lib/calico/nodename: no such file or directory: check '
        "that the calico/node container is running and has mounted /var/lib/calico/",
    ),
    (
        Kind.AGENT,
        SANDBOX + 'plugin type="aws-cni" name="aws-cni" failed (add): add cmd: Error received from AddNetwork gRPC '
        "call: rpc error: code = Unavailable desc = connection error: desc = transport: Error while dialing: dial tcp "
        "127.0.0.1:50051: connect: connection refused",
    ),
    (
        Kind.DENIED,
        SANDBOX + 'plugin type="calico" failed (add): error getting ClusterInformation: connection is unauthorized: '
        "Unauthorized",
    ),
    (
        Kind.DENIED,
        SANDBOX + 'plugin type="calico" failed (add): error getting ClusterInformation: Get '
        '"https://10.96.0.1:443/apis/crd.projectcalico.org/v1/clusterinformations/default": x509: certificate signed '
        "by unknown authority",
    ),
    (
        Kind.API_UNREACHABLE,
        SANDBOX + 'plugin type="calico" failed (add): error getting ClusterInformation: Get '
        '"https://10.96.0.1:443/apis/crd.projectcalico.org/v1/clusterinformations/default": dial tcp 10.96.0.1:443: '
        "i/o timeout",
    ),
    (
        Kind.NO_ADDRESS_AWS,
        SANDBOX + 'plugin type="aws-cni" name="aws-cni" failed (add): add cmd: failed to assign an IP address to '
        "container",
    ),
    (
        Kind.NO_ADDRESS_AZURE,
        (
            "Failed create pod sandbox: rpc error: code = Unknown desc = NetworkPlugin cni failed to set up pod "
            '"disk_default" network: Failed to allocate address: Failed to delegate: Failed to allocate address: No '
            "available addresses"
        ),
    ),
    (
        Kind.NO_ADDRESS_AZURE,
        SANDBOX + 'plugin type="azure-vnet" failed (add): IPAM Invoker Add failed with error: Failed to get IP address '
        "from CNS: http request failed: AllocateIPConfig failed: not enough IPs available of type Microsoft.Network, "
        "waiting on Azure CNS to allocate more",
    ),
    (
        Kind.NO_ADDRESS_CALICO,
        SANDBOX + 'plugin type="calico" failed (add): failed to request IPv4 addresses: Assigned 0 out of 1 requested '
        "IPv4 addresses; No IPs available in pools: [10.0.0.0/26]",
    ),
    (Kind.NO_ADDRESS_CALICO, SANDBOX + 'plugin type="calico" failed (add): no configured Calico pools for node n1'),
    (Kind.OTHER, SANDBOX + 'plugin type="bridge" failed (add): could not add "veth1" to bridge: out of luck'),
)


@pytest.mark.parametrize(("kind", "text"), TEXTS)
def test_each_text_has_its_class(kind: Kind, text: str) -> None:
    found = classify(text)
    assert found.kind is kind
    assert found.said
    assert found.said in text


def test_names_are_taken_out_of_the_text() -> None:
    by_kind = {kind: classify(text) for kind, text in reversed(TEXTS)}
    assert by_kind[Kind.NO_PLUGIN].parts == {"missing": "brigde", "folder": "/opt/cni/bin"}
    assert by_kind[Kind.BRIDGE_ADDRESS].parts == {"bridge": "cni0", "wanted": "10.244.1.1/24"}
    assert by_kind[Kind.NO_ADDRESS].parts == {"range": "10.244.1.3-10.244.1.4"}
    assert by_kind[Kind.IMAGE].parts == {"image": "k8s.gcr.io/pause:3.6"}
    assert by_kind[Kind.SUBNET_ENV].plugin == "flannel"
    assert by_kind[Kind.OTHER].said == 'could not add "veth1" to bridge: out of luck'


@pytest.mark.parametrize("text", ["", "\n", "x" * 100_000, 'plugin type="', "\x1b[31mred", "rpc error: code = "])
def test_hostile_texts_are_told_as_they_are(text: str) -> None:
    assert classify(text).kind is Kind.OTHER
