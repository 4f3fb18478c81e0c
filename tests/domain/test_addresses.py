"""Which addresses webhooks may go to."""

from __future__ import annotations

import ipaddress

import pytest

from bridge.domain.addresses import may_reach, url_problem

LAN = (ipaddress.ip_network("192.168.1.0/24"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize(
    "url",
    [
        "https://crm.example.com/hook?tenant=1",
        "https://crm.example.com:8443/hook",
        "https://93.184.216.34/hook",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/hook",
        "HTTPS://CRM.example.com/hook",
        "https://crm.example.com./hook",
        "https://my_crm.example.com/hook",
        "https://xn--bcher-kva.example/hook",
        "https://4crm.example.com/hook",
    ],
)
def test_public_https_addresses_will_do(url):
    assert url_problem(url, ()) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "crm.example.com/hook",
        "http://crm.example.com/hook",
        "ftp://crm.example.com/hook",
        "file:///etc/passwd",
        "https:///hook",
        "https://user:password@crm.example.com/hook",
        "https://user@crm.example.com/hook",
        "https://crm.example.com/hook#part",
        "https://crm.example.com:0/hook",
        "https://crm.example.com:99999/hook",
        "https://crm.example.com\\@10.0.0.1/hook",
        "https://crm.example.com/ho ok",
        "https://crm.example.com/" + "x" * 2000,
        "https://[::1/hook",
        "https://127.0.0.1/hook",
        "https://10.0.0.1/hook",
        "https://172.16.0.1/hook",
        "https://192.168.1.5/hook",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.64.0.1/hook",
        "https://0.0.0.0/hook",
        "https://224.0.0.1/hook",
        "https://255.255.255.255/hook",
        "https://[::1]/hook",
        "https://[fe80::1]/hook",
        "https://[fd00::1]/hook",
        "https://[::ffff:10.0.0.1]/hook",
        "https://[64:ff9b::a00:1]/hook",
        "https://[2002:a00:1::]/hook",
        "https://[fec0::1]/hook",
        # Other ways to write an IPv4 address.
        "https://2130706433/hook",
        "https://0x7f000001/hook",
        "https://0x7f.1/hook",
        "https://0177.0.0.1/hook",
        "https://127.1/hook",
        "https://1.2.3/hook",
        "https://127.0.0.1./hook",
        "https://%31%32%37.0.0.1/hook",
        # Names that lead to this machine, to a network of somebody's, or nowhere.
        "https://localhost/hook",
        "https://LocalHost./hook",
        "https://crm.localhost/hook",
        "https://crm/hook",
        "https://crm.local/hook",
        "https://crm.internal/hook",
        "https://crm.home.arpa/hook",
        "https://crm.invalid/hook",
        "https://abcdefgh.onion/hook",
        "https://crm..example.com/hook",
        "https://-crm.example.com/hook",
        "https://" + "a" * 64 + ".example.com/hook",
        "https://" + "a." * 127 + "example.com/hook",
    ],
)
def test_others_are_refused(url):
    assert url_problem(url, ())


def test_networks_that_are_named_will_do_by_plain_http_too():
    assert url_problem("http://192.168.1.5/hook", LAN) is None
    assert url_problem("https://192.168.1.5/hook", LAN) is None
    assert url_problem("http://crm.lan/hook", LAN) is None, "where the name leads is seen when connecting"
    assert url_problem("http://192.168.2.5/hook", LAN)
    assert url_problem("http://93.184.216.34/hook", LAN), "plain http over the internet is never fine"


def test_names_inside_will_do_where_a_network_is_named():
    for name in ("crm", "crm.local", "crm.internal", "crm.lan"):
        assert url_problem(f"http://{name}/hook", LAN) is None
    assert url_problem("http://localhost/hook", LAN), "no network of those named has this machine in it"
    for network in ("127.0.0.0/8", "::1/128"):
        assert url_problem("http://localhost:8000/hook", [ipaddress.ip_network(network)]) is None
    assert url_problem("http://crm.invalid/hook", LAN)
    assert url_problem("http://3232235777/hook", LAN), "an address is written as one"


def test_plain_http_reaches_named_networks_only():
    assert may_reach(ipaddress.ip_address("192.168.1.5"), encrypted=False, networks=LAN)
    assert may_reach(ipaddress.ip_address("::ffff:192.168.1.5"), encrypted=False, networks=LAN)
    assert not may_reach(ipaddress.ip_address("93.184.216.34"), encrypted=False, networks=LAN)
    assert not may_reach(ipaddress.ip_address("169.254.169.254"), encrypted=True, networks=LAN)
