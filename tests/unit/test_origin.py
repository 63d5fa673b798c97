"""One API has one name, however its address is written."""

import pytest

from cxai.api.base_url import THIS_MACHINE, origin_of

PRODUCTION = "https://api.elevateai.com"


@pytest.mark.parametrize(
    "url",
    [
        PRODUCTION, f"{PRODUCTION}/", f"{PRODUCTION}/v1", f"{PRODUCTION}/v1/",
        f"{PRODUCTION}/V1", f"{PRODUCTION}:443",
        "HTTPS://API.ElevateAI.com", "https://api.elevateai.com./v1", f" {PRODUCTION} ",
    ],
)  # fmt: skip
def test_another_spelling_is_the_same_api(url):
    assert origin_of(url) == PRODUCTION


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8900", "http://127.9.8.7", "http://localhost:1", "https://LOCALHOST.:2/v1",
        "http://[::1]:3",
    ],
)  # fmt: skip
def test_a_loopback_address_is_this_machine_whatever_its_port(url):
    assert origin_of(url) == THIS_MACHINE


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.elevateai.com:8443/v1", f"{PRODUCTION}:8443"),
        ("https://staging.elevateai.com", "https://staging.elevateai.com"),
        ("https://gateway.example.com/elevate/v1", "https://gateway.example.com/elevate"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://localhost.example.com", "https://localhost.example.com"),
    ],
)
def test_another_host_port_or_path_is_another_api(url, origin):
    assert origin_of(url) == origin
